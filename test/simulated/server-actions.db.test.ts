/**
 * A server is taken through every power in a whole cloud, by the API. At each act control is killed as soon as it has accepted, or the host
 * after one of the act's own steps, a later one each time round: the end is what was asked for, with the same guest where it shall go on.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ServerId } from '../../contract/ids.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { assertInOrder, createServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start();
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

/** `keeps`: the guest goes on with what it had in memory. */
const life: { act: object; status: string; keeps?: true }[] = [
  { act: { pause: null }, status: 'PAUSED', keeps: true },
  { act: { unpause: null }, status: 'ACTIVE', keeps: true },
  { act: { suspend: null }, status: 'SUSPENDED' },
  { act: { resume: null }, status: 'ACTIVE', keeps: true },
  { act: { rescue: null }, status: 'RESCUE' },
  { act: { unrescue: null }, status: 'ACTIVE' },
  { act: { 'os-stop': null }, status: 'SHUTOFF' },
  { act: { 'os-start': null }, status: 'ACTIVE' },
];

const post = (id: ServerId, act: object) => tenancy.client.must('POST', 'compute', `/servers/${id}/action`, act);
const memory = (id: ServerId) => cloud.hosts[0]!.machine.qemus.guest(id)?.guest.memory;

/** @param meddle arranges a death, and answers what waits until it is over */
async function live(id: ServerId, meddle: (at: number) => (() => Promise<void>) | undefined): Promise<void> {
  let before = memory(id);
  for (const [at, { act, status, keeps }] of life.entries()) {
    const over = meddle(at);
    await post(id, act);
    await over?.();
    await reaches(cloud, tenancy, id, status);
    if (keeps) assert.equal(memory(id), before, JSON.stringify(act));
    before = memory(id) ?? before;
  }
  await assertInOrder(cloud, [id]);
}

test('every act ends as asked, wherever host or control dies', async (t) => {
  const [host] = cloud.hosts;
  const id = await createServer(tenancy, 'lives');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  // The first time round nobody dies, and the steps of each act are noted.
  const steps: string[][] = [];
  await live(id, (at) => {
    host!.steps.length = 0;
    return async () => {
      await reaches(cloud, tenancy, id, life[at]!.status);
      steps[at] = [...host!.steps];
    };
  });
  t.diagnostic(JSON.stringify(steps));
  assert.ok(steps.every((each) => each.length > 0));
  for (const turn of [0, 2]) {
    await live(id, (at) => {
      const step = steps[at]![turn % steps[at]!.length]!;
      host!.dieAfter = step;
      return async () => {
        await cloud.until(`the host to die after ${step}`, () => !host!.running);
        await host!.start();
      };
    });
  }
  await live(id, () => () => cloud.replaceControl());
});
