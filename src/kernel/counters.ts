/**
 * What the kernel counts. The counts live where every thread can read them without a system call, so the machine
 * injects how to add one.
 */
export interface KernelCounters {
  /** One more kernel entry by system call, or one more page request served. */
  add(name: 'syscalls' | 'pageRequests'): void;
}
