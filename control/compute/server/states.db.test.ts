import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import {
  powerState,
  powers,
  type ServerCapture,
  type ServerMove,
  type ServerShelve,
  type ServerState,
  serverStatus,
  taskState,
  vmState,
} from './states.ts';
import { powerStateSql, stateColumns, statusSql, taskStateSql, vmStateSql } from './states-sql.ts';
import { serverCloud } from './testing.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

const rescue = (count: number) => ({
  count,
  image_id: newId(),
  image: { format: 'raw' as const, size_bytes: 1, sha256: 'aa' },
});
const capture = (kind: ServerCapture['kind']) => ({ image_id: newId(), kind });
const shelve = (state: ServerShelve['state'], more: Partial<ServerShelve> = {}): ServerShelve => ({
  ...{ image_id: newId(), state, power: 'on', offload_after: 0 },
  ...more,
});
const move = (kind: ServerMove['kind'], state: ServerMove['state']): ServerMove => ({
  migration_id: newId(),
  kind,
  state,
});
const fault = (generation: number) => ({ reason: 'host' as const, message: '', at: '', generation });

/** What each column may be; more often what it mostly is. */
const choices: { [K in keyof ServerState]: ServerState[K][] } = {
  host_id: [null, newId()],
  generation: [2],
  desired_presence: ['present', 'present', 'present', 'absent'],
  desired_power: ['on', 'on', ...powers],
  desired_reboot_count: [0, 1],
  desired_reboot_type: ['soft', 'hard'],
  desired_rescue: [null, null, null, rescue(1), rescue(2)],
  desired_root_count: [0, 0, 0, 2],
  desired_capture: [null, null, null, capture('image'), capture('backup'), capture('shelve')],
  desired_resize: [null, null, null, { count: 2, state: 'kept' }, { count: 2, state: 'reverted' }],
  desired_shelve: [
    ...[
      null,
      null,
      null,
      null,
      null,
      null,
      shelve('saving'),
      shelve('saved'),
      shelve('offloading'),
      shelve('offloaded'),
    ],
    ...[shelve('unshelving'), shelve('unshelving', { offloaded: true })],
  ],
  desired_move: [
    ...Array.from({ length: 30 }, () => null),
    ...[move('migration', 'moving'), move('live-migration', 'moving'), move('resize', 'moved')],
    ...[move('migration', 'kept'), move('resize', 'kept'), move('migration', 'reverting')],
  ],
  desired_verb: [
    'create',
    'create',
    'create',
    'create',
    'restore',
    'rebuild',
    'evacuate',
    'resize',
    'revertResize',
    'confirmResize',
  ],
  soft_deleted_at: [null, null, null, new Date()],
  observed_generation: [1, 2],
  observed_state: ['none', 'building', 'running', 'stopped', 'paused', 'suspended', 'failed', 'absent'],
  observed_power: [null, 'on', 'on', ...powers],
  observed_reboot_count: [0, 1],
  observed_rescue_count: [0, 0, 0, 1, 2],
  observed_root_count: [0, 0, 0, 2],
  observed_resize_count: [0, 0, 0, 2],
  observed_error: [null, null, { code: 'guest_paused' }, { code: 'network' }],
  fault: [null, null, fault(1), fault(2)],
  launched_at: [null, new Date(), new Date(), new Date()],
};

/** The same at each run (an xorshift of 32 bits). */
function sample(count: number): ServerState[] {
  let seed = 0x2545_f491;
  const next = (below: number) => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return (seed >>> 0) % below;
  };
  const pick = ([key, values]: [string, unknown[]]) => [key, values[next(values.length)]];
  return Array.from(
    { length: count },
    () => Object.fromEntries(Object.entries(choices).map(pick)) as unknown as ServerState,
  );
}

/** A null of JSON in a column of JSON is not SQL's. */
const present = (state: ServerState) => Object.fromEntries(Object.entries(state).filter(([, value]) => value !== null));

test('the SQL twins of the derived states agree with the functions', async () => {
  const cloud = await serverCloud(db.database);
  await cloud.addHost();
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor: await cloud.addFlavor() }));
  const states = sample(24_000);
  const { rows } = await sql<{ n: number; status: string; vm: string; task: string | null; power: number }>`
    with r as (select t.n::integer, null::timestamptz as deleted_at, r.* from jsonb_array_elements(${JSON.stringify(states.map(present))}::jsonb)
        with ordinality as t(state, n), lateral jsonb_populate_record((select server from server where id = ${ids[0]}), t.state) r),
      s as (select s.n, s.deleted_at, ${stateColumns} from r s)
    select n, ${statusSql} as status, ${vmStateSql} as vm, ${taskStateSql} as task, ${powerStateSql} as power from s order by n`.execute(
    db.database.query,
  );
  for (const { n, ...found } of rows) {
    const state = states[n - 1]!;
    const power = powerState(state);
    const expected = { status: serverStatus(state), vm: vmState(state), task: taskState(state), power };
    assert.deepEqual({ ...found, power: Number(found.power) }, expected, JSON.stringify(state));
  }
  assert.equal(rows.length, states.length);
});

test('the sample has every status that these columns can make', () => {
  const found = [...new Set(sample(24_000).map((state) => serverStatus(state)))].sort();
  assert.deepEqual(found, [
    'ACTIVE',
    'BUILD',
    'ERROR',
    'HARD_REBOOT',
    'MIGRATING',
    'PAUSED',
    'REBOOT',
    'REBUILD',
    'RESCUE',
    'RESIZE',
    'REVERT_RESIZE',
    'SHELVED',
    'SHELVED_OFFLOADED',
    'SHUTOFF',
    'SOFT_DELETED',
    'SUSPENDED',
    'VERIFY_RESIZE',
  ]);
});
