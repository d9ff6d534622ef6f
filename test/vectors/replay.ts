/**
 * Replays recorded cases on an `Iommu` and lists where its answers differ from the recorded ones.
 */

import { Iommu } from '../../src/hw/iommu/iommu.js';
import { FAULT_RECORD, PAGE_RECORD } from '../../src/hw/iommu/layouts.js';
import { IOMMU_REGISTER_WORDS, IommuRegisterFile, REGISTERS } from '../../src/hw/iommu/registers.js';
import {
  Access,
  type IommuMessage,
  NO_PASID,
  newTranslationRequest,
  newTranslationResult,
  RequestType,
} from '../../src/hw/iommu/translation.js';
import type {
  CommandStep,
  Expected,
  Header,
  PageRequestStep,
  Step,
  TranslateStep,
  VectorCase,
} from './format.js';
import { VectorMemory } from './vector-memory.js';

/** One value that is not as recorded. */
export interface Mismatch {
  /** Index of the step, or the part of the final state. */
  readonly step: string;
  readonly field: string;
  readonly expected: unknown;
  readonly got: unknown;
}

/** Choices of the IOMMU that no recorded answer depends on. */
export interface ReplayOptions {
  /** Entries of the translation cache; 0 replays without caches. */
  readonly cacheEntries?: number;
}

const TYPES = {
  untranslated: RequestType.untranslated,
  translated: RequestType.translated,
  atsRequest: RequestType.ats,
} as const;
const STATUS_NAMES = ['success', 'unsupportedRequest', 'completerAbort'] as const;

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function halves(text: string): { high: number; low: number } {
  const value = BigInt(text);
  return { high: Number(value >> 32n), low: Number(value & 0xffff_ffffn) };
}

function joined(high: number, low: number): string {
  return hex((BigInt(high) << 32n) | BigInt(low));
}

function pasidOrNull(pasid: number): number | null {
  return pasid === NO_PASID ? null : pasid;
}

/** Where `got` differs from `expected`, looking only at what `expected` names. */
function compare(step: string, field: string, expected: unknown, got: unknown): Mismatch[] {
  if (typeof expected !== 'object' || expected === null || typeof got !== 'object' || got === null) {
    return expected === got ? [] : [{ step, field, expected, got }];
  }
  const children = Object.entries(expected).flatMap(([key, value]) =>
    compare(step, field === '' ? key : `${field}.${key}`, value, (got as Expected)[key]),
  );
  if (!Array.isArray(expected) || expected.length === (got as unknown[]).length) return children;
  return [{ step, field: `${field}.length`, expected: expected.length, got: (got as unknown[]).length }];
}

/** One case under replay. */
class Replay {
  readonly #case: VectorCase;
  readonly #memory: VectorMemory;
  readonly #registers = new IommuRegisterFile(new Int32Array(IOMMU_REGISTER_WORDS));
  readonly #iommu: Iommu;
  readonly #request = newTranslationRequest();
  readonly #result = newTranslationResult();
  readonly #messages: IommuMessage[] = [];
  /** Id of the invalidation that each command step sent. */
  readonly #invalidations = new Map<number, number>();

  constructor(testCase: VectorCase, header: Header, memory: VectorMemory, options: ReplayOptions) {
    this.#case = testCase;
    this.#memory = memory;
    this.#registers.reset();
    this.#iommu = new Iommu({
      memory,
      registers: this.#registers,
      lockHolder: 1,
      sendMessage: (message) => this.#messages.push(message),
      interrupt: () => {},
      barePageBytes: Number(header.barePageSize),
      ...options,
    });
  }

  play(): Mismatch[] {
    this.#memory.clear();
    for (const write of this.#case.memory) this.#memory.poke(write);
    for (const [name, value] of Object.entries(this.#case.registers)) this.#setRegister(name, value);
    const mismatches = this.#case.steps.flatMap((step, index) => this.#play(step, index));
    return [...mismatches, ...this.#compareFinalState()];
  }

  #setRegister(name: string, value: string): void {
    const { at, width } = registerNamed(name);
    const { high, low } = halves(value);
    this.#iommu.writeRegister(at, low);
    if (width === 64) this.#iommu.writeRegister(at + 4, high);
  }

  #play(step: Step, index: number): Mismatch[] {
    if (step.op === 'poke') {
      for (const write of step.writes) this.#memory.poke(write);
      return [];
    }
    if (step.op === 'writeRegister') {
      this.#iommu.writeRegister(step.offset, halves(step.value).low);
      return [];
    }
    return compare(`step ${index}`, '', step.expect, this.#perform(step, index));
  }

  #perform(step: Exclude<Step, { op: 'poke' | 'writeRegister' }>, index: number): Expected {
    switch (step.op) {
      case 'translate':
        return this.#translate(step);
      case 'pageRequest':
        return this.#pageRequest(step);
      case 'command':
        return this.#command(step, index);
      default:
        return this.#collect(() => this.#iommu.invalidationCompleted(this.#invalidations.get(step.of) ?? 0));
    }
  }

  #translate(step: TranslateStep): Expected {
    const { high, low } = halves(step.iova);
    const request = Object.assign(this.#request, {
      type: TYPES[step.type],
      deviceId: step.deviceId,
      pasid: step.pasid ?? NO_PASID,
      privileged: step.privileged,
      access: Access[step.access ?? 'read'],
      noWrite: step.noWrite ?? false,
      execute: step.execute ?? false,
      iovaHigh: high,
      iovaLow: low,
    });
    this.#iommu.translate(request, this.#result);
    const { status, cause, recorded, ppn, pageOffset, rangeBytes, r, w, x, priv, global } = this.#result;
    const flags = { r: Number(r), w: Number(w), x: Number(x), priv: Number(priv), global: Number(global) };
    const pa = hex(BigInt(ppn) * 4096n + BigInt(pageOffset));
    return { status: STATUS_NAMES[status], cause, recorded, pa, size: hex(rangeBytes), ...flags };
  }

  #pageRequest(step: PageRequestStep): Expected {
    const { high, low } = halves(step.payload);
    const { rid, dseg, privileged, execute } = step;
    const { queued, recorded, response } = this.#iommu.pageRequest({
      rid,
      dsv: step.dsv === 1,
      dseg,
      pasid: step.pasid ?? NO_PASID,
      privileged,
      execute,
      payloadHigh: high,
      payloadLow: low,
    });
    if (response === null) return { queued, recorded, response };
    const payload = joined(response.payloadHigh, response.payloadLow);
    const pasid = pasidOrNull(response.pasid);
    return { queued, recorded, response: { ...response, dsv: Number(response.dsv), pasid, payload } };
  }

  #command(step: CommandStep, index: number): Expected {
    const count = queueLength(this.#case.registers.cqb!);
    const tail = this.#registers.read32(REGISTERS.cqt.at);
    const address = queueStart(this.#case.registers.cqb!) + tail * 16;
    const content = Buffer.alloc(16);
    content.writeBigUInt64LE(BigInt(step.dwords[0]), 0);
    content.writeBigUInt64LE(BigInt(step.dwords[1]), 8);
    const isStorable = address + 16 <= this.#memory.bytes;
    if (isStorable) this.#memory.poke([hex(address), content.toString('hex')]);
    return this.#collect(() => {
      const sent = this.#messages.length;
      this.#iommu.writeRegister(REGISTERS.cqt.at, (tail + 1) % count);
      for (const message of this.#messages.slice(sent)) this.#noteInvalidation(message, index);
    });
  }

  #noteInvalidation(message: IommuMessage, index: number): void {
    if (message.type === 'invalidationRequest') this.#invalidations.set(index, message.id);
  }

  /** Performs `act`; what the command queue did meanwhile. */
  #collect(act: () => void): Expected {
    this.#messages.length = 0;
    act();
    return {
      messages: this.#messages.map((message) => ({
        ...message,
        dsv: Number(message.dsv),
        pasid: pasidOrNull(message.pasid),
        payload: joined(message.payloadHigh, message.payloadLow),
      })),
      cqh: this.#registers.read32(REGISTERS.cqh.at),
      cqcsr: hex(this.#registers.read32(REGISTERS.cqcsr.at)),
    };
  }

  #compareFinalState(): Mismatch[] {
    return [
      ...compare('end', 'faultQueue', this.#case.faultQueue, this.#faultRecords()),
      ...compare('end', 'pageQueue', this.#case.pageQueue, this.#pageRecords()),
      ...compare('end', 'registersAfter', this.#case.registersAfter, this.#registersNow()),
      ...this.#compareMemory(),
    ];
  }

  #registersNow(): Expected {
    const entries = Object.keys(this.#case.registersAfter).map((name) => {
      const value = this.#registers.read32(registerNamed(name).at);
      return [name, /csr|ipsr/.test(name) ? hex(value) : value] as const;
    });
    return Object.fromEntries(entries);
  }

  #compareMemory(): Mismatch[] {
    const listed = new Map(this.#case.memoryAfter.map(([address, bytes]) => [Number(address), bytes]));
    const mismatches: Mismatch[] = [];
    for (const at of new Set([...listed.keys(), ...this.#memory.changedDwords(this.#queueRanges())])) {
      const content = Buffer.alloc(8);
      content.writeBigUInt64LE(this.#memory.dword(at));
      const expected = listed.get(at) ?? 'as software left it';
      const got = content.toString('hex');
      if (got !== expected) mismatches.push({ step: 'end', field: `memory ${hex(at)}`, expected, got });
    }
    return mismatches;
  }

  #queueRanges(): { start: number; end: number }[] {
    const sizes = { cqb: 16, fqb: FAULT_RECORD.bytes, pqb: PAGE_RECORD.bytes };
    return Object.entries(sizes).map(([name, recordBytes]) => {
      const base = this.#case.registers[name]!;
      return { start: queueStart(base), end: queueStart(base) + queueLength(base) * recordBytes };
    });
  }

  #faultRecords(): Expected[] {
    const count = this.#registers.counter('faultsRecorded');
    return this.#records('fqb', 'fqt', FAULT_RECORD.bytes, count).map((record) => {
      const { cause, ttyp, did, pv, pid, priv, iotvalHigh, iotvalLow, iotval2High, iotval2Low } = readers(
        FAULT_RECORD.fields,
        record,
      );
      const iotval = joined(iotvalHigh, iotvalLow);
      return { cause, ttyp, did, pv, pid, priv, iotval, iotval2: joined(iotval2High, iotval2Low) };
    });
  }

  #pageRecords(): Expected[] {
    const count = this.#registers.counter('pageRequestsQueued');
    return this.#records('pqb', 'pqt', PAGE_RECORD.bytes, count).map((record) => {
      const { did, pv, pid, priv, exec, payloadHigh, payloadLow } = readers(PAGE_RECORD.fields, record);
      return { did, pv, pid, priv, exec, payload: joined(payloadHigh, payloadLow) };
    });
  }

  /** The newest records of a queue in which `count` were stored altogether, oldest first. */
  #records(base: string, tail: string, recordBytes: number, count: number): DataView[] {
    const start = queueStart(this.#case.registers[base]!);
    const length = queueLength(this.#case.registers[base]!);
    const end = this.#registers.read32(registerNamed(tail).at);
    const kept = Math.min(count, length);
    return Array.from({ length: kept }, (_, index) => {
      const slot = (end - kept + index + length) % length;
      const record = new DataView(new ArrayBuffer(recordBytes));
      for (let at = 0; at < recordBytes; at += 4) {
        record.setUint32(at, this.#memory.load32(start + slot * recordBytes + at), true);
      }
      return record;
    });
  }
}

/** Every field's value of one record. */
function readers<Name extends string>(
  fields: Readonly<Record<Name, { read(view: DataView, base: number): number }>>,
  record: DataView,
): Record<Name, number> {
  const values = {} as Record<Name, number>;
  for (const name of Object.keys(fields) as Name[]) values[name] = fields[name].read(record, 0);
  return values;
}

function registerNamed(name: string): { at: number; width: number } {
  const register = Object.entries(REGISTERS).find(([known]) => known === name);
  if (register === undefined) throw new Error(`no register is called ${name}`);
  return register[1];
}

function queueStart(base: string): number {
  return Number((BigInt(base) >> 10n) * 4096n);
}

function queueLength(base: string): number {
  return 2 ** (Number(BigInt(base) & 31n) + 1);
}

/** Replays cases that share a header, one after the other. */
export class Replayer {
  readonly #header: Header;
  readonly #memory: VectorMemory;
  readonly #options: ReplayOptions;

  constructor(header: Header, options: ReplayOptions = {}) {
    this.#header = header;
    this.#memory = new VectorMemory(header.memoryBytes);
    this.#options = options;
  }

  /** Where the IOMMU differs from `testCase`; empty when it passes. An exception counts as a difference. */
  replay(testCase: VectorCase): Mismatch[] {
    try {
      return new Replay(testCase, this.#header, this.#memory, this.#options).play();
    } catch (error) {
      return [{ step: 'replay', field: 'exception', expected: 'none', got: String(error) }];
    }
  }
}
