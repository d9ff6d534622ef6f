/**
 * The system calls of the simulated kernel and the door through which the user library reaches them. Requests and
 * replies are plain data: on the threaded host they cross to the kernel thread.
 *
 * A reply's `ret` is a value >= 0 or a negated errno. Paths are absolute: `/dev/NAME`, `/sys/class/uacce/...`.
 */

/** What may be done with pages. */
export type Protection = 'none' | 'read' | 'readWrite';

/** A system call and its arguments. */
export type SyscallRequest =
  /** Opens a character device; `ret` = file descriptor. */
  | { readonly call: 'open'; readonly path: string }
  | { readonly call: 'close'; readonly fd: number }
  /** `argument` in; the reply's `bytes` are the argument as the kernel left it. */
  | { readonly call: 'ioctl'; readonly fd: number; readonly command: number; readonly argument?: Uint8Array }
  /** Maps a queue region: `offset` is the region type times the page size. `ret` = address. */
  | { readonly call: 'mmap'; readonly fd: number; readonly offset: number; readonly bytes: number }
  /**
   * Maps anonymous memory. `pool`: physically contiguous, never moved, prefaulted unless `prefault` is false, and
   * viewable with `mapRegion`. `demand`: a page appears at the first access. `ret` = address.
   */
  | {
      readonly call: 'mmapAnonymous';
      readonly kind: 'pool' | 'demand';
      readonly bytes: number;
      readonly prefault?: boolean;
    }
  | { readonly call: 'munmap'; readonly address: number; readonly bytes: number }
  /**
   * Changes what may be done with whole pages of one pool or demand mapping, by the process and by every device that
   * works for it. A view that JavaScript holds already cannot be revoked. ENOMEM outside one mapping, EACCES for a queue's
   * region.
   */
  | {
      readonly call: 'mprotect';
      readonly address: number;
      readonly bytes: number;
      readonly protection: Protection;
    }
  /** Writes demand pages out to the swap store now (MADV_PAGEOUT); `ret` = how many left memory. */
  | { readonly call: 'pageOut'; readonly address: number; readonly bytes: number }
  /** Brings whole pages in and keeps them where they are; `ret` = the pin's number, from 1. */
  | { readonly call: 'pin'; readonly address: number; readonly bytes: number }
  | { readonly call: 'unpin'; readonly pin: number }
  /** What a load or store of the process's own thread met: 0 = try again, -EFAULT = refused, -ENOMEM. */
  | { readonly call: 'pageFault'; readonly address: number; readonly access: 'read' | 'write' }
  /** No mapping moves: for a queue region EFAULT if it would grow, else EPERM; EINVAL for any other. */
  | { readonly call: 'mremap'; readonly address: number; readonly bytes: number; readonly newBytes: number }
  /** Copies from or to the process's own memory, page faults included. `bytes` holds what was read. */
  | { readonly call: 'readMemory'; readonly address: number; readonly bytes: number }
  | { readonly call: 'writeMemory'; readonly address: number; readonly source: Uint8Array }
  /** `ret` = mask of poll events. */
  | { readonly call: 'poll'; readonly fd: number }
  | { readonly call: 'readdir'; readonly path: string }
  | { readonly call: 'readFile'; readonly path: string }
  | { readonly call: 'writeFile'; readonly path: string; readonly text: string }
  | { readonly call: 'getpid' };

/** What the kernel answers; which fields there are depends on the call. */
export interface SyscallReply {
  readonly ret: number;
  /** readFile: the content. */
  readonly text?: string;
  /** readdir: the names. */
  readonly names?: readonly string[];
  /** ioctl: the argument as the kernel left it; readMemory: the bytes. */
  readonly bytes?: Uint8Array;
  /** mmap: where the region lies; for the platform, which makes a view of it, and for nobody else. */
  readonly physicalAddress?: number;
  /** For some errors: which limit was met, and the remedy. */
  readonly detail?: string;
}

/** Bits of a poll mask, as Linux numbers them. PRI: the domain is asked to yield. */
export const pollEvent = { IN: 0x001, PRI: 0x002, ERR: 0x008, HUP: 0x010 } as const;

/** What the machine counted. Bypass means that `syscalls` and `wakeups` do not move while data does. */
export interface Counters {
  /** Kernel entries by system call. */
  readonly syscalls: number;
  /** Page requests served by the kernel. */
  readonly pageRequests: number;
  /** Doorbells of contexts that were not running, which woke the scheduler. */
  readonly wakeups: number;
  /** Scheduler ticks. */
  readonly ticks: number;
}

/**
 * A process's door to the machine, injected into the user library: system calls, loads and stores, views of its own
 * mappings, the doorbell of a sleeping engine and the interrupts of its queues. It belongs to one user thread.
 */
export interface Platform {
  readonly pid: number;
  /** Whether completions can appear while the caller looks: looking is pointless where devices take turns with it. */
  readonly concurrent: boolean;
  /** Enters the kernel; the answer is a value >= 0 or a negated errno in `ret`, never a rejection. */
  syscall(request: SyscallRequest): Promise<SyscallReply>;
  /**
   * Reads `bytes` bytes of the process's memory on this thread, through its own page table; only a page fault enters
   * the kernel. Answers them, or a negated errno: EINVAL for an address or a length that is none (1 to
   * `limits.MEMORY_COPY_BYTES_MAX`), EFAULT where the access is refused, ENOMEM, ESRCH after `exit`.
   */
  load(address: number, bytes: number): Promise<Uint8Array | number>;
  /**
   * Writes `source`, likewise; it must not change before the answer. Answers the bytes written, or a negated errno as
   * `load` does; what lies before a refused page is written. A store to the hardware doorbell of a queue is a store to
   * memory here, and no event: that needs `writeMemory`.
   */
  store(address: number, source: Uint8Array): Promise<number>;
  /** A view of `bytes` bytes at `address` of a pool or queue mapping of this process. Throws for anything else. */
  mapRegion(address: number, bytes: number): Uint8Array;
  /** The doorbell's event: wakes the engine that serves the queue open at `fd`. */
  wake(fd: number): void;
  /** Calls `handler` after completions were published on the queue open at `fd`; null removes it. */
  onInterrupt(fd: number, handler: (() => void) | null): void;
  /** Calls `handler` once, when the engine or the kernel behind `fd` is gone. */
  onLost(fd: number, handler: (reason: string) => void): void;
  /** Keeps the program running while requests are in flight. Counted: each ref needs its unref. */
  ref(): void;
  /** Takes one `ref` back. */
  unref(): void;
  /** What the machine counted so far, read from shared memory: not a system call. */
  counters(): Counters;
  /** Time in ns for expected starts and statistics; virtual on the inline host. */
  nowNs(): number;
  /**
   * A child of the process, on the same user thread: its memory is a copy, made when a page is written; its files are
   * the same; queue regions are not there. A negated errno: ENOMEM, EAGAIN when no process is left, ESRCH after `exit`.
   */
  fork(): Promise<Platform | number>;
  /** Ends the process: its files are closed and its memory goes back. */
  exit(): Promise<void>;
}
