/** What a reader needs to know about the machine to judge a figure. */
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import type { MachineFacts } from './report.js';

/** The commit of the checkout, `-dirty` behind it if files differ from it; undefined outside a repository or without git. */
function commit(): string | undefined {
  const answer = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  });
  return answer.status === 0 ? answer.stdout.trim() : undefined;
}

/** The facts as of now. */
export function machineFacts(): MachineFacts {
  const at = commit();
  return {
    node: process.versions.node,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    platform: `${process.platform}-${process.arch}`,
    date: new Date().toISOString(),
    ...(at !== undefined && { commit: at }),
  };
}
