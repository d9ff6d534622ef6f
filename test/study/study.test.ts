// Are the targets of the studies met, in small; is a policy that does not keep its promise found out; and does the command
// say so?
import { describe, expect, it } from 'vitest';
import { NS_PER_MS, NS_PER_SECOND } from '../../src/base/units.js';
import { fairPolicy } from '../../src/coproc/policies/fair.js';
import { roundRobinPolicy } from '../../src/coproc/policies/round-robin.js';
import type { Parameters, PolicyModule, SchedulerPolicy } from '../../src/coproc/policy.js';
import { attackers } from './attackers.js';
import { caps } from './caps.js';
import { command } from './command.js';
import { decisions } from './decisions.js';
import { frameRate } from './frame-rate.js';
import { studies } from './index.js';
import { allMet, toJson, toMarkdown, toText } from './report.js';
import { shares } from './shares.js';
import { type Finding, finding, type Study, type StudyScope } from './study.js';
import { switchCost } from './switch-cost.js';
import { useCases } from './use-cases.js';

const scope: StudyScope = {
  windowNs: 30 * NS_PER_SECOND,
  quick: true,
  seconds: 1,
  roundRobin: roundRobinPolicy,
  fair: fairPolicy,
};

async function missed(study: Study, policies: Partial<StudyScope> = {}): Promise<string[]> {
  const { findings } = await study.run({ ...scope, ...policies });
  return findings.filter(({ met }) => met === false).map(({ name }) => name);
}

/** `module` with some of its policy's operations replaced. */
function broken(
  module: PolicyModule,
  replace: (policy: SchedulerPolicy) => Partial<SchedulerPolicy>,
): PolicyModule {
  const create = (parameters: Parameters): SchedulerPolicy => {
    const policy = module.create(parameters);
    const replaced = replace(policy);
    return new Proxy(policy, {
      get(target, name) {
        const source = Object.hasOwn(replaced, name) ? replaced : target;
        const value = Reflect.get(source, name, source) as unknown;
        return typeof value === 'function' ? value.bind(source) : value;
      },
    });
  };
  return { ...module, create };
}

/** A policy that takes no notice of a parameter of its vcoprocs. */
const without = (name: string, usual = 0): PolicyModule =>
  broken(fairPolicy, (policy) => ({
    add: (vcoproc, parameters, nowNs) => policy.add(vcoproc, { ...parameters, [name]: usual }, nowNs),
  }));

/** F9: the time for which a device denies to stop is nobody's. */
const forgivesDenials = (module: PolicyModule): PolicyModule =>
  broken(module, (policy) => ({
    charge: (vcoproc, ns, kind, nowNs) => {
      if (kind !== 'denied') policy.charge(vcoproc, ns, kind, nowNs);
    },
  }));

/** F10: who wakes goes to the head, and takes the coprocessor at once. */
const wakerFirst: PolicyModule = broken(roundRobinPolicy, (policy) => {
  const order: { id: number; domainId: number }[] = [];
  const leave = ({ id }: { id: number }): void => {
    const at = order.findIndex((each) => each.id === id);
    if (at >= 0) order.splice(at, 1);
  };
  return {
    wake: (vcoproc, nowNs) => {
      order.unshift(vcoproc);
      policy.wake(vcoproc, nowNs);
    },
    sleep: (vcoproc, nowNs) => {
      leave(vcoproc);
      policy.sleep(vcoproc, nowNs);
    },
    schedule: (_nowNs, current) => {
      if (current !== null && current.id === order[0]?.id) order.push(order.shift()!);
      return { next: order[0] ?? current, sliceNs: 6 * NS_PER_MS };
    },
  };
});

/** Looks at everybody each time. */
const looksAtAll: PolicyModule = broken(roundRobinPolicy, (policy) => {
  let [count, seen] = [0, 0];
  return {
    add: (vcoproc, parameters, nowNs) => {
      count += 1;
      policy.add(vcoproc, parameters, nowNs);
    },
    schedule: (nowNs, current) => {
      seen += count;
      return policy.schedule(nowNs, current);
    },
    get visited() {
      return seen;
    },
  };
});

/** Takes turns of 100 ms, whatever its parameters say. */
const sluggish = (module: PolicyModule): PolicyModule => ({
  ...module,
  create: () => roundRobinPolicy.create({ sliceNs: 100 * NS_PER_MS, minRunNs: NS_PER_MS }),
});

describe('every target is met by the policies that come with the package', () => {
  it.each(studies.filter(({ realTime }) => !realTime))('$name', async (study) => {
    expect(await missed(study)).toEqual([]);
  });
});

describe('what keeps no promise is found out', () => {
  it.each<[string, Study, Partial<StudyScope>, RegExp]>([
    ['no weights', shares, { fair: without('weight', 256) }, /^share error\/fair 1:2:4:8$/],
    ['no caps', caps, { fair: without('cap') }, /^most in 1 s\/cap 25 % alone$/],
    ['forgiven denials', attackers, { roundRobin: forgivesDenials(roundRobinPolicy) }, /round-robin denies/],
    ['forgiven denials', attackers, { fair: forgivesDenials(fairPolicy) }, /fair denies/],
    ['the waker first', attackers, { roundRobin: wakerFirst }, /gain\/round-robin toggles/],
    ['a look at all', decisions, { roundRobin: looksAtAll }, /^exponent\/round-robin$/],
    [
      'slices of its own',
      switchCost,
      { roundRobin: sluggish(roundRobinPolicy) },
      /^off by\/time in switches$/,
    ],
    ['no budgets', frameRate, { fair: without('budgetNs') }, /\/budget$/],
    ['no preemption', useCases, { fair: sluggish(fairPolicy) }, /^deadlines missed\/R54/],
  ])('%s', async (_promise, study, policies, expected) => {
    const names = await missed(study, policies);
    expect(names.filter((name) => expected.test(name))).not.toEqual([]);
  });
});

it('the same numbers come out of every run', async () => {
  expect(await useCases.run(scope)).toEqual(await useCases.run(scope));
});

describe('a finding', () => {
  it('without a bound has no verdict; bounds include their limit', () => {
    const one = { name: 'a/b', value: 2, unit: '1' };
    const metOf = (bounds: Partial<Parameters>): Finding['met'] => finding({ ...one, ...bounds }).met;
    expect([metOf({}), metOf({ due: 3 })]).toEqual([null, null]);
    expect([metOf({ atMost: 2 }), metOf({ atMost: 1.99 })]).toEqual([true, false]);
    expect([metOf({ atLeast: 2 }), metOf({ atLeast: 2.01 })]).toEqual([true, false]);
  });

  it('that is no number has missed its target', () => {
    expect(finding({ name: 'a/b', value: Number.NaN, unit: '1', atMost: 2 }).met).toBe(false);
  });
});

describe('the report', () => {
  const study: Study = { name: 'odd', question: 'Is it odd?', method: 'Ask.', run: () => outcome };
  const outcome = {
    findings: [
      finding({ name: 'rest/of 5', value: 1, unit: '1', due: 1, atLeast: 1 }),
      finding({ name: 'rest/of 6', value: 0, unit: '1', due: 1, atLeast: 1 }),
    ],
    tables: [{ title: 'Rests', columns: ['number', 'rest'], rows: [[5, 'one']] }],
  };
  const reports = [{ study, ...outcome }];

  it('says which target was missed, in text and in Markdown', () => {
    expect(toText(reports[0]!)).toMatch(/^of 5 +rest +1 +1 +>= 1 +ok$/m);
    expect(toText(reports[0]!)).toMatch(/^of 6 +rest +0 +1 +>= 1 +MISSED$/m);
    expect(toMarkdown(reports[0]!)).toMatch(/^\| of 6 +\| rest +\| 0 .*\| MISSED +\|$/m);
    expect(toMarkdown(reports[0]!)).toContain('| number | rest |\n| ------ | ---- |\n| 5      | one  |');
  });

  it('is one JSON object with what was asked, measured, due and decided', () => {
    const machine = { node: '20', cpu: 'a processor', cores: 2, platform: 'linux-x64', date: '2026-11-20' };
    const report = JSON.parse(toJson(machine, reports));
    expect([report.schemaVersion, report.met, report.machine]).toEqual([1, false, machine]);
    expect(report.studies[0]).toMatchObject({ name: 'odd', realTime: false, ...outcome });
    expect(allMet([{ study, findings: outcome.findings.slice(0, 1), tables: [] }])).toBe(true);
  });
});

describe('the command', () => {
  async function run(...args: string[]) {
    const said = { printed: '', progress: '' };
    const code = await command(args, {
      print: async (text) => {
        said.printed += text;
      },
      progress: (text) => {
        said.progress += text;
      },
    });
    return { code, ...said };
  }

  it('runs the studies that are named, and ends with 0 when every target was met', async () => {
    const { code, printed, progress } = await run('use-c', '--quick');
    expect([code, progress]).toEqual([0, `study: use-cases: ${useCases.question}\n`]);
    expect(printed).toContain('every target was met');
    expect(JSON.parse((await run('use-cases', '--quick', '--json')).printed).studies).toHaveLength(1);
  });

  it.each([
    [['nothing'], 'no study is called nothing'],
    [['--seconds', '0'], '--seconds takes a whole number from 1 to 600, not 0'],
    [['--json', '--markdown'], 'exclude each other'],
    [['--loud'], "Unknown option '--loud'"],
  ])('refuses %j with a sentence and its usage', async (args, sentence) => {
    const { code, printed, progress } = await run(...args);
    expect([code, printed]).toEqual([1, '']);
    expect(progress).toContain(sentence);
    expect(progress).toContain('usage: ');
  });

  it('has help that names every study', async () => {
    const { code, printed } = await run('--help');
    expect(code).toBe(0);
    for (const { name } of studies) expect(printed).toContain(`  ${name} `);
  });
});
