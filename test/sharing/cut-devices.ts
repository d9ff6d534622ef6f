/**
 * The copy accelerator as it would be if it could be left in the middle of a request in another way, counting how often it
 * begins to execute one; and one that keeps what it keeps to itself.
 */
import { copyDevice } from '../../drivers/copy/device.js';
import { limits } from '../../src/base/limits.js';
import type { DeviceDescription, DeviceModel, Preemption, SqeRequest } from '../../src/hw/device-model.js';

export interface CutDevice {
  readonly description: DeviceDescription;
  /** Calls of `execute` so far. */
  readonly executions: () => number;
}

/** All but `resume` execute each request from its beginning, whatever an earlier attempt has noted. */
export function cutDevice(preemption: Preemption, silent = false): CutDevice {
  let executions = 0;
  const create: DeviceDescription['create'] = (signals) => {
    const model = copyDevice.create(signals);
    const execute: DeviceModel['execute'] = (request, dma) => {
      executions += 1;
      return model.execute(preemption === 'resume' ? request : afresh(request), dma);
    };
    return {
      execute,
      costNs: (request) => model.costNs(request),
      requestBytes: (request) => model.requestBytes(request),
      fail: (request, fault) => model.fail(request, fault),
      queueStopped: (owner) => model.queueStopped(owner),
      liveRegister: (name) => model.liveRegister!(name),
      reset: () => model.reset(),
      ...(silent
        ? {}
        : {
            saveState: () => model.saveState!(),
            loadState: (state: Uint8Array) => model.loadState!(state),
            canResume: (request: SqeRequest) => model.canResume!(request),
          }),
    };
  };
  return { description: { ...copyDevice, preemption, create }, executions: () => executions };
}

function afresh(request: SqeRequest): SqeRequest {
  return { ...request, progress: new DataView(new ArrayBuffer(limits.REQUEST_PROGRESS_BYTES)) };
}
