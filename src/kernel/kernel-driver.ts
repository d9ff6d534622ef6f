/**
 * The kernel part of a driver: what an author writes so that a kind of hardware becomes a uacce device. Everything
 * is plain data but the three hooks, which the kernel calls on its own thread and which must not block.
 *
 * | member | called by, when | required |
 * |---|---|---|
 * | data fields | read once, by `Kernel.addDevice` | yes, `isolation` excepted |
 * | `probe` | `addDevice`, before anything of the device can be seen or opened | no: the device is taken to be ready |
 * | `reset` | `resetDevice`, after its queues were disabled | no: the reset is taken to have succeeded |
 * | `ioctl` | `ioctl` with a command that the kernel does not know, on a queue that is not a zombie | no: EINVAL |
 */
import type { CoprocPort, Done } from '../hw/coproc-port.js';

/** Trapping register access of the device, as its port offers it. */
export type DeviceRegisters = Pick<CoprocPort, 'readRegister' | 'writeRegister'>;

/** A driver's own ioctl, on one queue. */
export interface DriverIoctl {
  readonly command: number;
  /** The kernel's copy of the argument; null when the call had none. May be changed: it is what the caller gets back. */
  readonly argument: Uint8Array | null;
  /** Hardware queue number. */
  readonly queueNumber: number;
}

/** The kernel part of a driver: data, and up to three hooks. */
export interface KernelDriver {
  /** First part of the device's name: `hisi_zip` gives `/dev/hisi_zip-0`. */
  readonly deviceName: string;
  /** Content of `api`: user drivers match it, `hisi_qm_v3`. */
  readonly api: string;
  /** Lines of `algorithms`. */
  readonly algorithms: readonly string[];
  /** Hardware queues of one instance, at most QUEUES_PER_INSTANCE. */
  readonly queues: number;
  /** SQ entries. */
  readonly sqDepth: number;
  /** CQ entries. */
  readonly cqDepth: number;
  /** Whether queues are bound to the address space of the process that opens them. */
  readonly sva: boolean;
  /** Present when the driver can tell whether its device was isolated: resets within an hour, 0 = off. */
  readonly isolation?: { readonly threshold: number };
  /** Looks whether the hardware is there and ready: 0, or a negated errno, which refuses the device. */
  probe?(registers: DeviceRegisters, done: Done): void;
  /** Brings the hardware back after an error: 0, or a negated errno, which isolates the device. */
  reset?(registers: DeviceRegisters, done: Done): void;
  /** A value >= 0, or a negated errno: EINVAL for an unknown command. */
  ioctl?(call: DriverIoctl): number;
}
