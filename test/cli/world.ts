/**
 * A world for the command: a directory of its own, streams that are collected, a clock that is set by hand, and the
 * pool that the test chooses.
 */
import { EventEmitter } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { errAsync, okAsync } from 'neverthrow';
import type { WdError } from '../../src/base/errors.js';
import type { CliIo } from '../../src/cli/io.js';
import { main } from '../../src/cli/main.js';
import { FakePool, type Sabotage } from './fake-pool.js';

export interface WorldOptions {
  readonly stdin?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly terminal?: boolean;
  readonly sabotage?: Sabotage;
  readonly noMachine?: WdError;
  /** What writing to standard output fails with. */
  readonly stdoutFails?: string;
  /** How far the clock goes with each look at it, ms. */
  readonly msPerLook?: number;
}

class Collector extends Writable {
  readonly isTTY: boolean;
  readonly pieces: Buffer[] = [];
  readonly #failure: string | undefined;

  constructor(isTTY: boolean, failure?: string) {
    super();
    this.isTTY = isTTY;
    this.#failure = failure;
  }

  override _write(piece: Buffer, _encoding: string, done: (failure?: Error) => void): void {
    const failure = this.#failure && Object.assign(new Error('write failed'), { code: this.#failure });
    if (failure) return void done(failure);
    this.pieces.push(piece);
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }
}

export class World {
  readonly directory = mkdtempSync(join(tmpdir(), 'wd-cli-'));
  readonly stdout: Collector;
  readonly stderr: Collector;
  readonly signals = new EventEmitter();
  readonly pool: FakePool;
  /** Machines that were started. */
  opened = 0;
  readonly #options: WorldOptions;
  #nowMs = 0;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.stdout = new Collector(options.terminal === true, options.stdoutFails);
    this.stderr = new Collector(options.terminal === true);
    this.pool = new FakePool(options.sabotage);
  }

  /** Runs the command; answers its exit code. */
  wd(...argv: string[]): Promise<number> {
    return main(argv, this.#io());
  }

  write(name: string, content: Uint8Array | string): string {
    writeFileSync(join(this.directory, name), content);
    return name;
  }

  read(name: string): Buffer {
    return readFileSync(join(this.directory, name));
  }

  /** Everything in the directory, hidden files included. */
  get files(): string[] {
    return readdirSync(this.directory).sort();
  }

  get said(): string {
    return this.stdout.bytes.toString();
  }

  get complained(): string {
    return this.stderr.bytes.toString();
  }

  #io(): CliIo {
    const { stdin = [], noMachine, msPerLook = 1 } = this.#options;
    return {
      open: () => {
        this.opened += 1;
        return noMachine === undefined ? okAsync(this.pool) : errAsync(noMachine);
      },
      stdin: Readable.from(stdin, { objectMode: true }),
      stdout: this.stdout,
      stderr: this.stderr,
      directory: this.directory,
      signals: this.signals,
      nowMs: () => {
        this.#nowMs += msPerLook;
        return this.#nowMs;
      },
    };
  }
}
