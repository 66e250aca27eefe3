/**
 * The memory and the processes of a cloud at rest, after it has worked: logins, lists, and a guest that came and went. Resident
 * memory is summed over processes, so pages that processes share count in each of them.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import { bothy, type LiveCloud, liveCloud, mustRun, notLive } from '../../support/live-cloud.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

const nodeProcesses = ['supervisor', 'control', 'host'];
/** The processes notice within ten seconds that they rest; idle connections to the database end after as long. */
const restDeadlineMs = 120_000;

interface Footprint {
  nodeMiB: number;
  totalMiB: number;
  processes: number;
}

describe('a cloud at rest', { skip: notLive, concurrency: 1 }, () => {
  let cloud: LiveCloud;

  before(
    async () => {
      cloud = await liveCloud();
      await ensurePublicGuest(cloud);
      await workALittle(cloud);
    },
    { timeout: 600_000 },
  );
  after(async () => cloud?.[Symbol.asyncDispose](), { timeout: 300_000 });

  test('its Node.js processes need less than 300 MiB, all of it less than 600 MiB and 20 processes', async (t) => {
    const end = Date.now() + restDeadlineMs;
    let seen: Footprint;
    do {
      await new Promise((next) => setTimeout(next, 1000));
      seen = await footprint(cloud);
    } while (!fits(seen) && Date.now() < end);
    t.diagnostic(JSON.stringify(seen));
    assert.ok(fits(seen), JSON.stringify(seen));
  });
});

const fits = (seen: Footprint): boolean => seen.nodeMiB < 300 && seen.totalMiB < 600 && seen.processes < 20;

async function footprint(cloud: LiveCloud): Promise<Footprint> {
  const status = JSON.parse(await mustRun(bothy, ['status', '--json', '--data', cloud.data]));
  const processes: { name: string; residentMiB: number; processes: number }[] = status.processes;
  const sum = (numbers: number[]) => Math.round(numbers.reduce((total, number) => total + number, 0));
  return {
    nodeMiB: sum(processes.filter(({ name }) => nodeProcesses.includes(name)).map((item) => item.residentMiB)),
    totalMiB: sum(processes.map((item) => item.residentMiB)),
    processes: sum(processes.map((item) => item.processes)),
  };
}

async function workALittle(cloud: LiveCloud): Promise<void> {
  await using tenant = await Tenant.create(cloud, { cidr4: '10.47.0.0/24', cidr6: 'fd00:47::/64' });
  await tenant.boot('short-lived');
  const logins = Array.from({ length: 8 }, () => administrator(cloud));
  for (const admin of await Promise.all(logins)) {
    for (let time = 0; time < 20; time++) {
      await admin.must('GET', 'compute', '/servers/detail?all_tenants=1');
      await admin.must('GET', 'network', '/v2.0/ports');
    }
    admin.close();
  }
}
