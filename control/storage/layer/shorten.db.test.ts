import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { type LayerId, newId, type VolumeId } from '../../../contract/ids.ts';
import { testSealer } from '../../identity/testing.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { testPool, testVolume } from '../testing.ts';
import { findLayer, freezeLayer, hostedLayers, insertLayer, LayerShortener, releaseLayers } from './index.ts';
import { type ChainLink, longestChain, planMerge } from './shorten.ts';

const link = (id: string, over: Partial<ChainLink> = {}): ChainLink => ({
  ...{ id, allocated_bytes: 10, served: true, moving: false, spare: false },
  ...over,
});
const spare = (id: string, allocated_bytes = 10) => link(id, { spare: true, allocated_bytes });

test('what costs least for each layer that goes is merged into the one above it, all of it at once', () => {
  const chain = [link('top'), spare('a', 50), link('b'), spare('c', 20), spare('d', 20), link('e')];
  assert.deepEqual(planMerge(chain, 5), { into: 'b', highest: 'c', lowest: 'd' });
  assert.deepEqual(planMerge([link('top'), spare('a')], 1), { into: 'top', highest: 'a', lowest: 'a' });
});

test('a large layer at the bottom is left where it is, as long as smaller ones will do', () => {
  const chain = [link('top'), ...['a', 'b', 'c', 'd', 'e'].map((id) => spare(id)), spare('base', 10_000)];
  assert.deepEqual(planMerge(chain, 6), { into: 'top', highest: 'a', lowest: 'd' });
});

test('a chain that is short enough, has nothing spare, or in which a merge is under way is left alone', () => {
  const chain = [link('top'), spare('a'), link('b')];
  assert.equal(planMerge(chain, 3), undefined);
  assert.equal(planMerge([link('top'), link('a'), link('b')], 2), undefined);
  assert.equal(planMerge([...chain, link('c', { moving: true })], 2), undefined);
  assert.equal(planMerge([link('top', { served: false }), spare('a'), link('b')], 2), undefined);
  assert.equal(planMerge([link('top'), { ...spare('a'), served: false }, link('b')], 2), undefined);
});

let db: TestDatabase;
let pool: Awaited<ReturnType<typeof testPool>>;
let side: ReturnType<typeof hostedLayers>;
let shortener: LayerShortener;
let projectId: string;
before(async () => {
  db = await testDatabase();
  pool = await testPool(db.database);
  projectId = await testProject(db.database);
  const deps = { database: db.database, log: pino({ level: 'silent' }) };
  side = hostedLayers({ ...deps, sealer: testSealer });
  shortener = new LayerShortener(deps);
});
after(() => db[Symbol.asyncDispose]());

const inTx = <T>(work: (tx: Tx) => Promise<T>) => db.database.transaction(cloudActor, work);

/** What a host that does what it is told reports, of all that it has; `failed` where it can't. */
async function obey(cannot: ReadonlySet<string> = new Set()): Promise<void> {
  const layers = await side.desiredLayers(db.database.query, { hostId: pool.host_id });
  await side.recordReports(
    pool.host_id,
    layers.map(({ layer: { id, epoch, generation, presence, sizeBytes } }) => ({
      ...{ id, epoch, generation, sizeBytes, allocatedBytes: 10, step: null, error: null },
      state: presence === 'absent' ? 'absent' : cannot.has(id) ? 'failed' : 'ready',
    })),
  );
}

/** As the work queue does. */
async function work(): Promise<number> {
  const { rows } = await sql<{
    id: string;
  }>`delete from graphile_worker._private_jobs j using graphile_worker._private_tasks t
    where t.id = j.task_id and t.identifier = 'volume_layer' returning payload ->> 'id' as id`.execute(
    db.database.query,
  );
  for (const { id } of rows) await shortener.shorten(id);
  return rows.length;
}

interface Made {
  id: VolumeId;
  top: LayerId;
}

async function volume(): Promise<Made> {
  const id = newId<VolumeId>();
  const imageId = newId();
  const base = { imageId, image: { format: 'raw', size_bytes: 5, sha256: null } } as const;
  const top = await inTx((tx) => insertLayer(tx, { volumeId: id, pool, sizeBytes: 2 ** 30, base }));
  await testVolume(db.database, { projectId, layerId: top, id });
  return { id, top };
}

async function snapshot(of: Made): Promise<string> {
  const [id, layer] = [newId(), of.top];
  of.top = await inTx(async (tx) => {
    await freezeLayer(tx, layer);
    const top = await insertLayer(tx, { volumeId: of.id, pool, sizeBytes: 2 ** 30, base: { parentId: layer } });
    await sql`update volume set layer_id = ${top} where id = ${of.id}`.execute(tx);
    await sql`insert into volume_snapshot (id, project_id, user_id, volume_id, layer_id, size_gib)
      values (${id}, ${projectId}, ${newId()}, ${of.id}, ${layer}, 1)`.execute(tx);
    return top;
  });
  return id;
}

const removeSnapshot = (id: string) =>
  inTx(async (tx) => {
    const { rows } = await sql<{ layer_id: string }>`update volume_snapshot set desired_presence = 'absent'
      where id = ${id} returning layer_id`.execute(tx);
    await releaseLayers(tx, [rows[0]!.layer_id]);
  });

async function chain(top: string): Promise<string[]> {
  const ids: string[] = [];
  for (let id: string | null = top; id; id = (await findLayer(db.database.query, id))!.parent_id) ids.push(id);
  return ids;
}

test('a volume whose snapshots come and go keeps a short chain on its image, and every layer of it goes in the end', async () => {
  const made = await volume();
  await obey();
  for (let round = 0; round < 3 * longestChain; round++) {
    const shot = await snapshot(made);
    await obey();
    await removeSnapshot(shot);
    await work();
    await obey();
    assert.ok((await chain(made.top)).length <= longestChain + 1);
  }
  await obey();
  const layers = await chain(made.top);
  const base = (await findLayer(db.database.query, layers.at(-1)!))!;
  assert.deepEqual([base.image?.format, base.parent_id], ['raw', null]);
  const { rows } = await sql`select from volume_layer where volume_id = ${made.id}`.execute(db.database.query);
  assert.equal(rows.length, layers.length, 'what was merged is gone');
  await inTx(async (tx) => {
    await sql`update volume set desired_presence = 'absent' where id = ${made.id}`.execute(tx);
    await releaseLayers(tx, [made.top]);
  });
  await obey();
  const left = await sql`select from volume_layer where volume_id = ${made.id}`.execute(db.database.query);
  assert.equal(left.rows.length, 0);
});

test('snapshots that are there are never merged, and a merge that fails is taken back, with no harm, for a while', async () => {
  const made = await volume();
  const shots: string[] = [];
  for (let round = 0; round < longestChain + 2; round++) shots.push(await snapshot(made));
  await obey();
  const before = await chain(made.top);
  while ((await work()) > 0);
  assert.deepEqual(await chain(made.top), before, 'every layer is a snapshot’s');
  const { rows } = await sql<{ layer_id: string }>`select layer_id from volume_snapshot where id = ${shots[3]}`.execute(
    db.database.query,
  );
  const layer = rows[0]!.layer_id;
  const [above, below] = [before[before.indexOf(layer) - 1]!, before[before.indexOf(layer) + 1]!];
  await removeSnapshot(shots[3]!);
  await work();
  const merging = (await findLayer(db.database.query, above))!;
  assert.deepEqual([merging.parent_id, merging.former_parent_id], [below, layer]);
  await obey(new Set([above]));
  assert.deepEqual(await chain(made.top), before);
  assert.equal(await work(), 1);
  await shortener.sweep();
  assert.equal(await work(), 0, 'not again at once');
  await obey();
  assert.equal((await findLayer(db.database.query, above))!.observed_state, 'ready');
  await sql`update volume_layer set shorten_at = now() - interval '1 second' where shorten_at is not null`.execute(
    db.database.query,
  );
  await shortener.sweep();
  await work();
  await obey();
  assert.deepEqual(
    await chain(made.top),
    before.filter((id) => id !== layer),
  );
});
