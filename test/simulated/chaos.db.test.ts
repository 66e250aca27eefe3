/**
 * Twenty servers created and deleted while control and hosts are killed at random moments: every one ends as asked, and
 * nothing is left over. BOTHY_TEST_SEED repeats a run; it is printed when one fails.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerId } from '../../contract/ids.ts';
import { Random } from '../support/random.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import {
  assertInOrder,
  deleteServer,
  makeTenancy,
  reaches,
  serverBody,
  statusOf,
  type Tenancy,
} from '../support/tenancy.ts';

const servers = 20;
const mayTakeMs = 60_000;

test('twenty creates and deletes survive random kills of control and hosts', async (t) => {
  const seed = Number(process.env.BOTHY_TEST_SEED ?? Date.now() % 1_000_000);
  t.diagnostic(`BOTHY_TEST_SEED=${seed}`);
  const random = new Random(seed);
  await using cloud = await SimulatedCloud.start({ hosts: 3 });
  const tenancy = await makeTenancy(cloud);
  let working = true;
  const kills = killing(cloud, random, () => working);
  try {
    const started = performance.now();
    const lives = await Promise.all(
      Array.from({ length: servers }, (_, index) =>
        live(cloud, tenancy, index, random.chance(0.5), random.below(1500)),
      ),
    );
    working = false;
    const { controls, hosts } = await kills;
    const stay = lives.filter((id) => id !== undefined);
    for (const id of stay) await reaches(cloud, tenancy, id, 'ACTIVE');
    await assertInOrder(cloud, stay);
    for (const id of stay) await deleteServer(cloud, tenancy, id);
    for (const id of stay) await reaches(cloud, tenancy, id, 'gone');
    await assertInOrder(cloud, []);
    const tookMs = performance.now() - started;
    t.diagnostic(`${controls} controls and ${hosts} hosts were killed in ${Math.round(tookMs)} ms`);
    assert.ok(controls + hosts >= 4 && tookMs < mayTakeMs);
  } finally {
    working = false;
    await kills.catch(() => {});
  }
});

/** One server's life as its owner lives it: asks again where the answer was lost. Answers its id where it shall stay. */
async function live(
  cloud: SimulatedCloud,
  tenancy: Tenancy,
  index: number,
  dies: boolean,
  waitMs: number,
): Promise<ServerId | undefined> {
  await sleep(waitMs);
  const name = `chaos ${index}`;
  let id: ServerId | undefined;
  await cloud.until(`${name} to be accepted`, async () => {
    const list = await tenancy.client.call('GET', 'compute', `/servers?name=${encodeURIComponent(`^${name}$`)}`);
    if (list.status !== 200) return false;
    id = list.body.servers[0]?.id;
    if (id !== undefined) return true;
    const answer = await tenancy.client.call('POST', 'compute', '/servers', serverBody(tenancy, name));
    id = answer.status === 202 ? answer.body.server.id : undefined;
    return id !== undefined;
  });
  if (!dies) return id;
  // Some are deleted long before they run.
  if (index % 3 !== 0) await cloud.until(`${name} to run`, async () => (await statusOf(tenancy, id!)) === 'ACTIVE');
  await deleteServer(cloud, tenancy, id!);
  await reaches(cloud, tenancy, id!, 'gone');
  return undefined;
}

async function killing(cloud: SimulatedCloud, random: Random, working: () => boolean) {
  const killed = { controls: 0, hosts: 0 };
  while (working() && killed.controls + killed.hosts < 12) {
    await sleep(random.below(400));
    if (random.chance(0.5)) {
      cloud.control.kill();
      killed.controls++;
      await sleep(random.below(100));
      await cloud.superviseControl();
    } else {
      const host = random.pick(cloud.hosts);
      host.kill();
      killed.hosts++;
      await sleep(random.below(200));
      await host.start();
    }
  }
  return killed;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
