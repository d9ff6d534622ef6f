/**
 * What happens to a device's access when the page tables do not allow it yet: the three kinds of hardware there are.
 */

/**
 * How a device and the IOMMU deal with an access whose page is absent or not permitted.
 *
 * - `pageRequests`: the device has a translation cache of its own, filled by ATS requests. It finds out before it
 *   accesses, sends a page request (PRI) and tries again after the response.
 * - `stall`: the device knows nothing of pages. The IOMMU keeps the access until software says that it is to be tried
 *   again or aborted, as SMMUv3 does. An extension of this IOMMU (src/hw/iommu/SPEC.md, "The stall extension").
 * - `none`: the access ends at once with the cause of its fault. Memory that such a device is to reach must be present.
 */
export const FAULT_MODELS = ['pageRequests', 'stall', 'none'] as const;

/** One of `FAULT_MODELS`. */
export type FaultModel = (typeof FAULT_MODELS)[number];
