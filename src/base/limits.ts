/**
 * Every limit and default of the machine, in one place: value, unit, reason. How they relate is asserted below.
 * Options of the public API override the defaults, never the bounds.
 */
import { assert } from './assert.js';
import { GiB, KiB, MEGAPAGE_BYTES, MiB, NS_PER_MS, NS_PER_SECOND, NS_PER_US, PAGE_BYTES } from './units.js';

/** The limits by name; the unit is the last part of each name, or said in its comment. */
export const limits = {
  /** Physical memory of a machine, bytes. Committed only when touched. Must stay below 4 GiB: a live PTE's high word is zero. */
  MEMORY_BYTES: GiB,
  MEMORY_BYTES_MIN: 32 * MiB,
  MEMORY_BYTES_MAX: 4 * GiB - MEGAPAGE_BYTES,
  /**
   * Guest-physical address at which the memory of every domain but the host's begins. Not 0, and not where physical
   * memory lies by default: an address of one kind that is taken for the other then names nothing.
   */
  GUEST_BASE: GiB,
  /** Memory of one such domain, bytes: guest-physical addresses are below 4 GiB, too. */
  GUEST_BYTES_MAX: 3 * GiB,
  /** Coprocessor instances of one kind that a default machine has at most, whatever the number of cores. */
  ENGINES_MAX: 16,
  /** Smallest memory that a configuration or a call can give such a domain, bytes: one block of a carve-out. */
  DOMAIN_BYTES_MIN: MEGAPAGE_BYTES,
  /** What a start-up configuration leaves to the host, bytes: its processes, tables of all domains, queue contexts. */
  HOST_BYTES_MIN: 16 * MiB,
  /**
   * What a domain costs the host beside its memory, and again each instance that it uses, bytes: the tables of its second
   * stage; the contexts of the instance's queues.
   */
  DOMAIN_TABLE_BYTES: 64 * KiB,
  /** Creations, attachments and ends of domains that may wait for each other; further calls are refused. */
  DOMAIN_CHANGES_WAITING: 256,
  /** Characters of a start-up configuration, and how many objects and arrays in it lie inside each other. */
  CONFIG_TEXT_LENGTH_MAX: MiB,
  CONFIG_DEPTH_MAX: 32,
  /** Characters of the name of an instance, a domain or a policy. */
  NAME_LENGTH_MAX: 64,
  /** Domains that share one instance at most: each has a context of its own there. */
  CONTEXTS_PER_INSTANCE: 1024,
  /** Coprocessor instances on one machine: the device directory has one level of 128 entries. */
  INSTANCES_MAX: 128,

  /** SQ and CQ entries of a queue (HiSilicon queue manager v3). */
  QUEUE_DEPTH: 1024,
  /** Hardware queues of one instance. The doorbell's queue number has 10 bits. */
  QUEUES_PER_INSTANCE: 1024,
  /** PASIDs: 20 bits, 0 is never handed out. */
  PASID_MAX: 2 ** 20 - 1,
  /** Open files of one process. */
  OPEN_FILES_PER_PROCESS: 4096,
  /** Largest share of a process among those of its domain: its turns are this many times as long as the shortest. */
  PROCESS_WEIGHT_MAX: 1024,
  /** Processes of one machine. */
  PROCESSES_MAX: 4096,

  /** Mappings of one process, two for each open queue included. */
  MAPPINGS_PER_PROCESS: 16_384,
  /** Parts of one mapping that differ in protection: a page fault looks through them. */
  PROTECTION_RUNS_PER_MAPPING: 1024,
  /** Bytes of one mapping: the size of all memory that a machine can have. */
  MAPPING_BYTES_MAX: 4 * GiB,
  /** Bytes that one readMemory or writeMemory copies, and one load or store of a user thread. */
  MEMORY_COPY_BYTES_MAX: 64 * MiB,
  /** Bytes that a user thread copies inside one access epoch: bounds how long the kernel waits for it. */
  ACCESS_BYTES_MAX: 64 * KiB,
  /** Page faults in a row that a load or store answers with another try although no byte was copied in between. */
  PAGE_FAULT_RETRIES: 8,
  /** How often a kernel thread that waits for a user thread looks whether that thread has ended, ns. */
  THREAD_END_LOOK_NS: 50 * NS_PER_MS,
  /** Pages that were written out of memory, of all processes together, bytes. */
  SWAP_BYTES: 256 * MiB,
  /** Pages that are written out at once when a frame is needed: one invalidation for all of them. */
  RECLAIM_PAGES: 32,
  /** How often room is made for one page fault before it fails for want of memory: others may be quicker to take it. */
  RECLAIM_ATTEMPTS: 16,
  /** Frames that one process may have pinned: 64 MiB. */
  PINNED_FRAMES_PER_PROCESS: 16_384,
  /** Pins of one process. */
  PINS_PER_PROCESS: 4096,
  /** Calls that may wait for a change of one queue's state; further ones are answered EAGAIN. */
  QUEUE_CALLS_WAITING: 16,
  /** Characters of a path or of the text written to an attribute. */
  PATH_LENGTH_MAX: 4096,
  /** Largest value of isolate_strategy. */
  ISOLATION_THRESHOLD_MAX: 65_535,
  /** Errors older than this do not count towards isolation, ns. */
  ISOLATION_WINDOW_NS: 3600 * NS_PER_SECOND,

  /** Input that one native call of a codec sees at most, bytes: bounds the time to the next yield. */
  SEGMENT_INPUT_BYTES: 16 * KiB,
  /** The same while an engine serves several queues in turn, bytes: who sends little waits for no more than this. */
  SEGMENT_SHARED_BYTES: 8 * KiB,
  /** Segments of one queue without one of another, after which it has the engine to itself. */
  SEGMENTS_UNTIL_ALONE: 64,
  /** Output room that one native call sees at most, bytes. */
  SEGMENT_OUTPUT_BYTES: 64 * KiB,
  /** Length of one ZIP request, bytes (the hardware's own limit). */
  REQUEST_BYTES_MAX: 8 * MiB,
  /** What a model that can resume a request may note about how far it came, bytes. */
  REQUEST_PROGRESS_BYTES: 64,
  /** What a model keeps between requests, bytes, when its context moves to another instance: memory of a firmware counts. */
  MODEL_STATE_BYTES_MAX: 16 * MiB,
  /** Bytes that a request is charged at least: a flood of empty ones must not hold its turn for long. */
  REQUEST_BYTES_CHARGED_MIN: 256,
  /**
   * Bytes that one queue is served before the engine turns to the next (deficit round robin): one segment, so that who
   * sends little waits for no more than that of each who sends much.
   */
  QUEUE_QUANTUM_BYTES: 8 * KiB,

  /** Translations that a device's ATC holds; 1,024 are enough for any one queue (facts measured). */
  ATC_ENTRIES: 1024,
  /** Translations that the IOMMU's own cache holds. */
  IOTLB_ENTRIES: 1024,
  /** Table pointers that the IOMMU's walk cache holds of each stage: 32 bytes each, and one serves 2 MiB. */
  IOMMU_WALK_ENTRIES: 256,
  /** Contexts that each directory cache of the IOMMU holds: devices, and processes. */
  IOMMU_DIRECTORY_ENTRIES: 64,
  /** Entries of the IOMMU's command, fault and page-request queues. */
  IOMMU_QUEUE_ENTRIES: 256,
  /** Pages that one invalidation names one by one; above it the whole address space is dropped, at bounded cost. */
  INVALIDATION_PAGES_MAX: 32,
  /**
   * How long a device may take to acknowledge an invalidation or to answer a control call before it is reset, ns. A
   * segment takes milliseconds, an engine thread on a busy machine may wait long for a core; PCI Express allows a minute.
   */
  INVALIDATION_TIMEOUT_NS: 5 * NS_PER_SECOND,
  /** Commands that wait for room in the command queue before they are widened and merged. */
  IOMMU_COMMAND_BACKLOG: 4096,
  /** Unrecoverable DMA faults that are kept for diagnosis. */
  FAULT_HISTORY: 256,
  /** Page requests that one address space may have waiting; more are refused. */
  PAGE_REQUESTS_PER_PASID: 64,
  /** Within what time a page request group is answered, whatever its handler does, ns. PCI Express leaves it open. */
  PAGE_REQUEST_TIMEOUT_NS: 10 * NS_PER_SECOND,
  /** Pages of one access that the port asks for in one group. */
  PAGES_PER_REQUEST_GROUP: 32,
  /** How often a port retries an access whose page request was answered with success. */
  PAGE_REQUEST_RETRIES: 8,

  /** How long the first idle engine spins before it sleeps, ns: hides the 20 us a side that waking a core costs. */
  IDLE_SPIN_NS: 20 * NS_PER_US,
  /** How long every further idle engine spins, ns: more would take the cores from those that work. */
  IDLE_SPIN_FURTHER_NS: 2 * NS_PER_US,
  /**
   * How long a caller looks for a completion itself, ns, before it relies on an interrupt. About what it costs to
   * sleep and be woken: posting to a sleeping thread takes its engine some 20 us, in which it serves nobody.
   */
  CALLER_SPIN_NS: 20 * NS_PER_US,
  /** How long it then looks once a turn of the event loop, ns, before it arms an interrupt. */
  CALLER_POLL_NS: 100 * NS_PER_US,
  /** Completions that one interrupt covers at most. */
  COALESCE_MAX: 16,
  /** An engine that knows of fewer requests is told of another one at once. */
  SQES_KNOWN_MIN: 4,
  /** SQEs that one doorbell covers at most when a caller submits several without a pause. */
  SQES_PER_DOORBELL: 16,
  /** Expected work that an engine keeps when it interrupts, ns: about what the caller needs to wake and submit. */
  AHEAD_OF_INTERRUPT_NS: 50 * NS_PER_US,
  /** How long a completion source is kept referenced after the last request, ms. */
  UNREF_DELAY_MS: 5,
  /** Wall-clock time without progress after which the library asks the kernel for the state of a queue, ms. */
  STALL_BACKSTOP_MS: 5000,
  /** Time that a worker may take to start, ms. */
  WORKER_START_MS: 30_000,
  /** Ends of an engine thread after each of which it is started again, when no queue was given back in good order between them. */
  ENGINE_RESTARTS_MAX: 8,
  /** Niceness of engine threads where the system allows it: keeps the application's event loop smooth. */
  ENGINE_NICENESS: 19,

  /** Memory that the pool of a thread may map which has attached to the machine of another one, bytes. */
  ATTACHED_MEMORY_BYTES: 64 * MiB,
  /**
   * How long a thread that would attach waits for the other one, ms, before it starts a machine of its own: until that has
   * heard it, and then until it is attached, for which a machine may have to start. The other one may be blocked for it.
   */
  ATTACH_HEARD_MS: 2000,
  ATTACH_DONE_MS: 10_000,
  /** How often a thread asks again when the machine that it was about to attach to has ended meanwhile. */
  ATTACH_ATTEMPTS: 3,
  /** How long a thread waits for an answer when it asks all others for the owner of a machine, ms; starting one takes as long. */
  OWNER_ANSWER_MS: 200,
  /** Memory of a tenant: of its domain, or what its process may map, bytes. */
  TENANT_MEMORY_BYTES: 64 * MiB,
  /** Largest share of a tenant; the pool itself has 1. */
  TENANT_WEIGHT_MAX: 255,
  /** Characters of a tenant's name. */
  TENANT_NAME_LENGTH_MAX: 100,
  /** Requests that a pool holds before it answers Busy. */
  POOL_REQUESTS_MAX: 65_536,
  /** Input bytes that a pool holds before it answers Busy. */
  POOL_INPUT_BYTES_MAX: 256 * MiB,
  /** Inputs below this go to software unless the caller asks for the device, bytes: a call on the spot is cheaper. */
  DEVICE_THRESHOLD_BYTES: 512,
  /** Inputs from this size on are cut into blocks for all engines, bytes. */
  SPLIT_THRESHOLD_BYTES: MiB,
  /** Size of such a block, bytes. */
  BLOCK_BYTES: 512 * KiB,
  /** Smallest and largest block that may be asked for, bytes. */
  BLOCK_BYTES_MIN: 64 * KiB,
  BLOCK_BYTES_MAX: 4 * MiB,
  /** Bytes before a block that prime its window: the reach of deflate. */
  DICTIONARY_BYTES: 32 * KiB,
  /** Input of one stateful request, bytes: what user drivers of this hardware send. */
  STREAM_CHUNK_BYTES: 128 * KiB,
  /** What outputs of up to a quarter of it share, bytes; node:zlib, too, answers a small output in 16 KiB. */
  OUTPUT_SLAB_BYTES: 16 * KiB,
  /** Longest deadline of a request, ms: what a timer of Node can wait. */
  DEADLINE_MS_MAX: 2 ** 31 - 1,
  /** Devices that a request may be lost with before it is not given to another. */
  REPLAYS_MAX: 1,
  /** First and longest wait before a lost queue is asked for again, ms. */
  REOPEN_MS: 20,
  REOPEN_MS_MAX: 5000,
  /** Stateful streams that a pool opens on one queue: both directions of one pool then fit what an instance keeps. */
  STREAMS_PER_CTX: 128,
  /** Streams that one ZIP instance keeps between stateful requests; a stream being compressed holds about 270 KB. */
  ZIP_STREAMS_MAX: 256,
  /** Sets of option values that each one-shot function of `warpdrive/zlib` remembers as judged by Node. */
  ZLIB_OPTION_SETS: 64,
  /** Bytes of a container's head that a stream of `warpdrive/zlib` keeps; Node takes over when one is longer. */
  ZLIB_HEAD_BYTES_MAX: 128 * KiB,
  /** Idle codecs of each kind, and idle output windows, that one ZIP instance keeps for the next request. */
  ZIP_IDLE_CODECS: 8,

  /** Records that a trace keeps. */
  TRACE_TAIL: 4096,
  /** Within what time each step of a context switch must be answered, ns; then the device is reset. */
  STEP_TIMEOUT_NS: 2 * NS_PER_SECOND,
  /** How long a shared device that executes may say nothing before it is asked whether it still answers, ns. */
  WATCHDOG_NS: NS_PER_SECOND,
  /** How long a device may deny a switch before its context is reset, ns; a domain may be given more. */
  DRAIN_DEADLINE_NS: 500 * NS_PER_MS,
  /** Least and most that the framework waits before it asks again after a denial, ns. */
  SWITCH_RETRY_NS_MIN: 10 * NS_PER_US,
  SWITCH_RETRY_NS_MAX: 100 * NS_PER_MS,
  /** Time slice of a vcoproc under a policy that does not say otherwise, ns: what the Xen RFC's implementation used. */
  TIME_SLICE_NS: 6 * NS_PER_MS,
  /** Shortest and longest slice that can be set, ns: a switch costs tens of us; nobody waits longer than he would for a page. */
  TIME_SLICE_NS_MIN: 100 * NS_PER_US,
  TIME_SLICE_NS_MAX: 10 * NS_PER_SECOND,
  /** How long a vcoproc runs before a wake can take the coproc from it, and the most that can be set, ns. */
  MIN_RUN_NS: 500 * NS_PER_US,
  MIN_RUN_NS_MAX: 100 * NS_PER_MS,
  /** Weight of a vcoproc by default and at most (Xen credit2). */
  WEIGHT: 256,
  WEIGHT_MAX: 65_535,
  /** Time over which a cap is kept, ns; and its bounds. */
  CAP_WINDOW_NS: 100 * NS_PER_MS,
  CAP_WINDOW_NS_MIN: NS_PER_MS,
  CAP_WINDOW_NS_MAX: 10 * NS_PER_SECOND,
  /** Shortest budget, ns (Xen RTDS), and longest period. */
  BUDGET_NS_MIN: 10 * NS_PER_US,
  PERIOD_NS_MAX: 10 * NS_PER_SECOND,
  /** Time that a vcoproc can owe to the others, ns: keeps sums below 2^53; a device is reset long before it denies this long. */
  DEBT_NS_MAX: 3600 * NS_PER_SECOND,
  /** Time that a vcoproc which sleeps can be owed by the others, ns: two denials. */
  CLAIM_NS_MAX: NS_PER_SECOND,
  /** How often a context may fail to start or stop before it is taken out of service. */
  CONTEXT_FAILURES_MAX: 3,
  /** Contexts for each of which an instance had to be reset by the framework when it is taken out of service. */
  DEVICE_FAILURES_MAX: 3,
  /** Writes to registers that wait for their context to be loaded; further ones are held back. */
  STACKED_WRITES: 64,
  /** Longest time that the processor of a domain runs or sleeps in one go, ns: as a time slice, and its sums stay exact. */
  VCPU_PHASE_NS_MAX: 1000 * NS_PER_SECOND,
  /** Device interrupts that one context may raise in INTERRUPT_WINDOW_NS; what comes more often is told once, counted. */
  INTERRUPTS_PER_WINDOW: 64,
  INTERRUPT_WINDOW_NS: NS_PER_MS,
} as const;

assert(limits.MEMORY_BYTES <= limits.MEMORY_BYTES_MAX, 'the default memory is allowed');
assert(limits.MEMORY_BYTES % MEGAPAGE_BYTES === 0, 'memory is made of whole megapages');
assert(limits.GUEST_BASE >= limits.MEMORY_BYTES, 'guest and physical addresses differ');
assert(limits.GUEST_BASE % MEGAPAGE_BYTES === 0, 'memory of domains can be mapped by megapages');
assert(limits.HOST_BYTES_MIN < limits.MEMORY_BYTES_MIN, 'the smallest machine has room for its host');
assert(limits.DOMAIN_BYTES_MIN % MEGAPAGE_BYTES === 0, 'the smallest domain has a whole block');
assert(limits.GUEST_BASE + limits.GUEST_BYTES_MAX <= 4 * GiB, 'guest addresses fit an entry of a page table');
assert(limits.ACCESS_BYTES_MAX >= PAGE_BYTES, 'an access may copy a page');
assert(limits.SEGMENT_INPUT_BYTES % PAGE_BYTES === 0, 'segments are made of pages');
assert(limits.BLOCK_BYTES_MAX <= limits.REQUEST_BYTES_MAX, 'a block fits one request');
assert(limits.BLOCK_BYTES_MIN > limits.DICTIONARY_BYTES, 'a block is larger than its dictionary');
assert(limits.SPLIT_THRESHOLD_BYTES <= limits.REQUEST_BYTES_MAX, 'what is not split fits one request');
assert(limits.POOL_REQUESTS_MAX > limits.QUEUE_DEPTH, 'a pool can fill a queue');
assert(limits.INVALIDATION_PAGES_MAX < limits.IOMMU_QUEUE_ENTRIES, 'the command queue holds an invalidation');
assert(
  limits.MAPPINGS_PER_PROCESS >= 2 * limits.OPEN_FILES_PER_PROCESS,
  'a process can map every queue that it can open',
);
assert(
  limits.CLAIM_NS_MAX >= 2 * limits.DRAIN_DEADLINE_NS,
  'a victim of a denial may sleep and not lose by it',
);
assert(limits.COALESCE_MAX < limits.QUEUE_DEPTH, 'an interrupt comes before the queue is full');
