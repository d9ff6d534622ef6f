// Does the framework stand on its own, and is a vcoproc to its kernel what the hardware would be?
import { describe, expect, it } from 'vitest';
import { Framework, HOST_DOMAIN } from '../../src/coproc/framework.js';
import { nullPolicy } from '../../src/coproc/policies/null.js';
import { VirtualClock } from '../../src/hw/clock.js';
import type { QueueBinding } from '../../src/hw/coproc-port.js';
import { NotedHardware, ScriptedPolicy } from './bench.js';

const newFramework = (): Framework =>
  new Framework({ clock: new VirtualClock(), counters: { wakeup: () => {}, tick: () => {} } });

describe('the framework', () => {
  it('gives a domain a port that passes queues and registers to the instance it names (R135)', () => {
    const framework = newFramework();
    const [first, second] = [new NotedHardware('noted0'), new NotedHardware('noted1')];
    for (const hardware of [first, second]) framework.register(hardware, nullPolicy);
    const port = framework.createVcoproc('noted1', HOST_DOMAIN);
    const answers: number[] = [];
    port.attachQueue({ queueNumber: 4 } as QueueBinding, (result) => answers.push(result));
    port.readRegister(8, 32, (value) => answers.push(value));
    port.writeRegister(8, 32, 5, (result) => answers.push(result));
    port.wake();
    port.detachQueue(4, (result) => answers.push(result));
    expect(answers).toEqual([0, 9, 0, 0]);
    expect([first.log, second.log]).toEqual([[], ['attach 4', 'write 8 5', 'start', 'detach 4']]);
    expect([port.instance, port.deviceId, port.description]).toEqual(['noted1', 0, second.description]);
  });

  it('routes an interrupt to the domain whose context runs', () => {
    const framework = newFramework();
    const hardware = new NotedHardware();
    framework.register(hardware, new ScriptedPolicy().module);
    const ports = [1, 2].map((domainId) => framework.createVcoproc('noted0', domainId));
    const heard: number[] = [];
    for (const [index, port] of ports.entries()) port.onIrq(() => heard.push(index));
    ports[1]!.wake();
    hardware.irq({ kind: 'queueError', queueNumber: 1, reason: 'tail beyond depth' });
    expect(heard).toEqual([1]);
  });

  it('an instance registered twice, or one that nobody registered, is our own bug and stops', () => {
    const framework = newFramework();
    framework.register(new NotedHardware(), nullPolicy);
    expect(() => framework.register(new NotedHardware(), nullPolicy)).toThrow('registered once');
    expect(() => framework.createVcoproc('absent', HOST_DOMAIN)).toThrow('absent is registered');
  });

  it('a second domain under the null policy is refused', () => {
    const framework = newFramework();
    framework.register(new NotedHardware(), nullPolicy);
    framework.createVcoproc('noted0', HOST_DOMAIN);
    expect(() => framework.createVcoproc('noted0', 1)).toThrow('serves one vcoproc');
  });
});
