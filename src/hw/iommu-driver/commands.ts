/**
 * Commands of the IOMMU as software composes them: one function each, over the tables of command-layouts.ts. A
 * command is its 16 bytes.
 */
import type { Layout } from '../../base/layout.js';
import { ATS, COMMAND_BYTES, IODIR, IOFENCE, IOTINVAL, Opcode, RESUME } from '../iommu/command-layouts.js';
import type { PageResponse, StallAnswer } from './control.js';

/** 16 bytes, ready to be stored in the command queue. */
export type Command = DataView;

const TWO_32 = 0x1_0000_0000;

function compose<Name extends string>(layout: Layout<Name>, values: Partial<Record<Name, number>>): Command {
  const command = new DataView(new ArrayBuffer(COMMAND_BYTES));
  for (const name of Object.keys(values) as Name[]) layout.fields[name].write(command, 0, values[name] ?? 0);
  return command;
}

/** First-stage translations of an address space: all of them, or those of the page at `va`. */
export function invalidateTranslations(pscid: number, gscid: number | null, va?: number): Command {
  const page = (va ?? 0) / 4096;
  return compose(IOTINVAL, {
    opcode: Opcode.iotinval,
    pscid,
    pscv: 1,
    gv: gscid === null ? 0 : 1,
    gscid: gscid ?? 0,
    av: va === undefined ? 0 : 1,
    addressLow: page % 2 ** 22,
    addressHigh: Math.floor(page / 2 ** 22),
  });
}

/** The device context of `deviceId` and every process context below it. */
export function invalidateDeviceContext(deviceId: number): Command {
  return compose(IODIR, { opcode: Opcode.iodir, dv: 1, did: deviceId });
}

/** One process context. */
export function invalidateProcessContext(deviceId: number, pasid: number): Command {
  return compose(IODIR, { opcode: Opcode.iodir, func3: 1, dv: 1, did: deviceId, pid: pasid });
}

/** Payload bits of an ATS invalidation (PCI Express, Invalidate Request Message). */
const GLOBAL = 1 << 0;
const SIZE = 1 << 11;

/** Asks a device to forget `bytes` (a power of two of pages, naturally aligned) at `va` under `pasid`, or -1. */
export function invalidateAtc(deviceId: number, pasid: number, va: number, bytes: number): Command {
  return atsInvalidation(deviceId, pasid, Math.floor(va / TWO_32), sizedPayload(va % TWO_32, bytes));
}

/**
 * S = 1 says that the lowest zero bit of the address, from bit 12 on, gives the size: below it stand ones. Blocks of
 * more than 2 GiB are never asked for, so the mark stays in the low word.
 */
function sizedPayload(low: number, bytes: number): number {
  if (bytes === 4096) return low;
  return (low + bytes / 2 - 4096 + SIZE) % TWO_32;
}

/** Asks a device to forget everything under `pasid`, or without one (-1); `global` = under every PASID. */
export function invalidateWholeAtc(deviceId: number, pasid: number, global = false): Command {
  return atsInvalidation(deviceId, pasid, 0x7fff_ffff, 0xffff_f000 + SIZE + (global ? GLOBAL : 0));
}

function atsInvalidation(deviceId: number, pasid: number, payloadHigh: number, payloadLow: number): Command {
  return compose(ATS, {
    opcode: Opcode.ats,
    rid: deviceId,
    pv: pasid < 0 ? 0 : 1,
    pid: Math.max(0, pasid),
    payloadHigh,
    payloadLow,
  });
}

/** Answers a page request group: requester 63:48, code 47:44, group 40:32. */
export function respondToGroup({ deviceId, pasid, prgi, code }: PageResponse): Command {
  return compose(ATS, {
    opcode: Opcode.ats,
    func3: 1,
    rid: deviceId,
    pv: pasid < 0 ? 0 : 1,
    pid: Math.max(0, pasid),
    payloadHigh: deviceId * 0x1_0000 + code * 0x1000 + prgi,
  });
}

/** Answers a stalled access. */
export function resumeStalled({ deviceId, tag, retry }: StallAnswer): Command {
  return compose(RESUME, { opcode: Opcode.resume, did: deviceId, tag, abort: retry ? 0 : 1 });
}

/** Waits for everything before it, stores `word` at physical `address` and raises the interrupt. */
export function fence(address: number, word: number): Command {
  const target = address / 4;
  return compose(IOFENCE, {
    opcode: Opcode.iofence,
    av: 1,
    wsi: 1,
    pr: 1,
    pw: 1,
    data: word,
    addressLow: target % TWO_32,
    addressHigh: Math.floor(target / TWO_32),
  });
}

/** Whether the command answers a page request group or a stalled access: it may be neither widened nor merged. */
export function isResponse(command: Command): boolean {
  const opcode = ATS.fields.opcode.read(command, 0);
  return opcode === Opcode.resume || (opcode === Opcode.ats && ATS.fields.func3.read(command, 0) === 1);
}

/** A command that drops at least as much as `command` and names no page: what is left after merging many. */
export function widened(command: Command): Command {
  const opcode = ATS.fields.opcode.read(command, 0);
  if (opcode === Opcode.iotinval) {
    const wide = new DataView(command.buffer.slice(0));
    for (const name of ['av', 'addressLow', 'addressHigh'] as const) IOTINVAL.fields[name].write(wide, 0, 0);
    return wide;
  }
  if (opcode !== Opcode.ats) return command;
  const { rid, pv, pid, payloadLow } = ATS.fields;
  const pasid = pv.read(command, 0) === 1 ? pid.read(command, 0) : -1;
  return invalidateWholeAtc(rid.read(command, 0), pasid, (payloadLow.read(command, 0) & GLOBAL) !== 0);
}
