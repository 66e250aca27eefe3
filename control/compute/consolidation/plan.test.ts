/** Which host may sleep, over a picture of a cloud of many. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whole } from '../placement/testing.ts';
import { type ConsolidatedServer, findSleep, seeZones } from './plan.ts';

const [{ hosts: some, request }, count] = [whole(), 40];
const hosts = Array.from({ length: count }, (_, n) => ({
  ...some[0]!,
  ...{ id: `h${String(n).padStart(2, '0')}`, name: `host-${n}`, used_memory_mib: 1000 + n },
}));
const tooLarge = (host: string): ConsolidatedServer => ({
  ...{ ...request, id: `s-${host}`, name: '', project_id: '', host_id: host, image_id: null, vcpus: 99 },
});
const fleet = (servers: ConsolidatedServer[]) => ({ hosts, servers, groups: new Map(), holders: new Map() });

test('of many hosts it is tried of the emptiest, until one is found; each of the others says why', async () => {
  const { candidates, stays, zones } = seeZones(hosts, new Map([['h39', 'no_bmc']]));
  assert.deepEqual([candidates.length, candidates[0]!.host.id, zones[0]!.awake], [16, 'h00', count]);
  const found = await findSleep(fleet([tooLarge('h00')]), candidates);
  assert.equal(found.sleep?.host_id, 'h01');
  const why = new Map([...stays, ...found.stays].map((stay) => [stay.host_id, stay.why]));
  assert.equal(why.size, count - 1);
  assert.deepEqual(
    ['h00', 'h02', 'h38', 'h39'].map((id) => why.get(id)),
    ['no_host_for_a_server', 'others_first', 'others_first', 'no_bmc'],
  );
});

test('the share of a zone without a host is of what the others have', () => {
  const [one, two] = hosts.map((host) => ({ ...host, used_vcpus: 0, used_disk_gib: 0, used_memory_mib: 0 }));
  const { candidates, stays } = seeZones([{ ...one!, used_vcpus: 8 }, two!], new Map());
  assert.deepEqual(
    candidates.map(({ host, share }) => [host.id, share]),
    [
      ['h00', 0.5],
      ['h01', 0.5],
    ],
  );
  assert.deepEqual(stays, []);
  const full = seeZones([{ ...one!, used_vcpus: 11 }, two!], new Map());
  assert.deepEqual(
    full.stays.map(({ why }) => why),
    ['needed', 'needed'],
  );
});

test('as many are woken as it takes, one after the other, those that are on their way counted', () => {
  const large = { ...hosts[0]!, ...{ used_vcpus: 16, used_memory_mib: 0, used_disk_gib: 0 } };
  const asleep = ['x', 'y', 'z'].map((id) => ({
    ...{ ...hosts[0]!, id, enabled: false, connected: false, used_vcpus: 0, used_memory_mib: 0, used_disk_gib: 0 },
    ...{ vcpus: 3, standby: { wakes: true, waking: false, seconds: 100 } },
  }));
  const woken: string[] = [];
  for (let looks = 0; looks < 4; looks++) {
    const { wake } = seeZones([large, ...asleep], new Map());
    for (const { host_id: id } of wake) {
      asleep.find((host) => host.id === id)!.standby.waking = true;
      woken.push(id);
    }
  }
  assert.deepEqual(woken, ['x', 'y']);
  asleep[0]!.standby.wakes = false;
  assert.equal(seeZones([large, ...asleep], new Map()).wake[0]?.host_id, 'z', 'the first does not come back');
});

test('others have their turns while it is looked for', async () => {
  const { candidates } = seeZones(hosts, new Map());
  let [turns, looking] = [0, true];
  const take = () => {
    turns++;
    if (looking) setImmediate(take);
  };
  setImmediate(take);
  const { sleep } = await findSleep(fleet(candidates.map(({ host }) => tooLarge(host.id))), candidates);
  looking = false;
  assert.equal(sleep, null);
  assert.ok(turns >= candidates.length - 1, `${turns} turns`);
});
