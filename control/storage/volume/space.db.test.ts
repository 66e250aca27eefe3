/** Whatever the tree: what is said to be somebody's own is what their deletion gives back, and each byte of a pool is counted once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type LayerId, newId, type VolumeId } from '../../../contract/ids.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { addCapture, freezeLayer, insertLayer, releaseLayers } from '../layer/index.ts';
import { poolFigures } from '../pool/index.ts';
import { testPool, testVolume } from '../testing.ts';
import { volumeSpace } from './index.ts';
import { readSpace } from './space.ts';
import { callerOf } from './testing.ts';

let db: TestDatabase;
let projectId: string;
before(async () => {
  db = await testDatabase();
  projectId = await testProject(db.database);
});
after(() => db[Symbol.asyncDispose]());

const inTx = <T>(work: (tx: Tx) => Promise<T>) => db.database.transaction(cloudActor, work);
type Pool = Awaited<ReturnType<typeof testPool>>;

/** The same numbers for the same seed (Park and Miller). */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % sides;
  };
}

interface Volume {
  id: VolumeId;
  top: LayerId;
}
interface Snapshot {
  id: string;
  of: VolumeId;
  layer: LayerId;
}

/** Volumes, snapshots and clones as people make and delete them, each layer with bytes of its own. */
class Forest {
  readonly pool: Pool;
  readonly #roll: (sides: number) => number;
  volumes: Volume[] = [];
  snapshots: Snapshot[] = [];

  constructor(pool: Pool, roll: (sides: number) => number) {
    this.pool = pool;
    this.#roll = roll;
  }

  async grow(steps: number): Promise<void> {
    await this.#makeVolume(undefined);
    for (let step = 0; step < steps; step++) {
      const volume = this.volumes[this.#roll(this.volumes.length)]!;
      const snapshot = this.snapshots[this.#roll(Math.max(1, this.snapshots.length))];
      const act = this.#roll(12);
      if (act < 4) await this.#snapshot(volume);
      else if (act < 7 && snapshot) await this.#makeVolume(snapshot.layer);
      else if (act < 8) await this.#makeVolume(undefined);
      else if (act < 10 && snapshot) await this.#drop(snapshot);
      else if (act < 11 && this.volumes.length > 1 && !this.snapshots.some(({ of }) => of === volume.id))
        await this.#remove(volume);
      else await inTx((tx) => addCapture(tx, volume.top, { image_id: newId(), format: 'raw' }));
    }
  }

  async #layer(tx: Tx, volumeId: VolumeId, parentId: LayerId | undefined): Promise<LayerId> {
    const base = parentId === undefined ? null : { parentId };
    const id = await insertLayer(tx, { volumeId, pool: this.pool, sizeBytes: 2 ** 30, base });
    await sql`update volume_layer set observed_allocated_bytes = ${1 + this.#roll(1_000_000)} where id = ${id}`.execute(
      tx,
    );
    return id;
  }

  async #makeVolume(parentId: LayerId | undefined): Promise<void> {
    const id = newId<VolumeId>();
    const top = await inTx((tx) => this.#layer(tx, id, parentId));
    await testVolume(db.database, { projectId, layerId: top, id });
    await sql`update volume set pool_id = ${this.pool.id}, host_id = ${this.pool.host_id} where id = ${id}`.execute(
      db.database.query,
    );
    this.volumes.push({ id, top });
  }

  async #snapshot(volume: Volume): Promise<void> {
    const id = newId();
    this.snapshots.push({ id, of: volume.id, layer: volume.top });
    volume.top = await inTx(async (tx) => {
      await freezeLayer(tx, volume.top);
      const top = await this.#layer(tx, volume.id, volume.top);
      await sql`insert into volume_snapshot (id, project_id, user_id, volume_id, layer_id, size_gib)
        values (${id}, ${projectId}, ${newId()}, ${volume.id}, ${volume.top}, 1)`.execute(tx);
      await sql`update volume set layer_id = ${top} where id = ${volume.id}`.execute(tx);
      return top;
    });
  }

  async #drop(snapshot: Snapshot): Promise<void> {
    await inTx((tx) => forget(tx, { snapshots: [snapshot] }));
    this.snapshots = this.snapshots.filter((each) => each !== snapshot);
  }

  async #remove(volume: Volume): Promise<void> {
    await inTx((tx) => forget(tx, { volume }));
    this.volumes = this.volumes.filter((each) => each !== volume);
  }
}

/** They go, and what nobody else needs, as removal does it (remove.ts). @returns the bytes of what goes */
async function forget(
  tx: Tx,
  { volume, snapshots = [] }: { volume?: Volume; snapshots?: readonly Snapshot[] },
): Promise<number> {
  const layers = [...snapshots.map(({ layer }) => layer), ...(volume ? [volume.top] : [])];
  await sql`delete from volume_snapshot where id = any(${snapshots.map(({ id }) => id)}::uuid[])`.execute(tx);
  // Its snapshots may outlive it here, which show what it alone takes.
  if (volume) await sql`update volume set desired_presence = 'absent' where id = ${volume.id}`.execute(tx);
  // An image that is being made of it holds its layer until that is done; that is its own doing.
  if (volume) await sql`update volume_layer set desired_captures = '[]' where volume_id = ${volume.id}`.execute(tx);
  const gone = await releaseLayers(tx, layers);
  const { rows } = await sql<{ bytes: number }>`select coalesce(sum(observed_allocated_bytes), 0)::float8 as bytes
    from volume_layer where id = any(${gone}::uuid[])`.execute(tx);
  return rows[0]!.bytes;
}

class Undone extends Error {}

/** What would be given back, without it being done. */
async function wouldFree(what: Parameters<typeof forget>[1]): Promise<number> {
  let bytes = -1;
  const trial = inTx(async (tx) => {
    bytes = await forget(tx, what);
    throw new Undone();
  });
  await trial.catch((error: unknown) => {
    if (!(error instanceof Undone)) throw error;
  });
  return bytes;
}

for (const seed of [1, 7, 42, 1234]) {
  test(`what is a volume's own is what its deletion gives back, in a tree grown at random (${seed})`, async () => {
    const forest = new Forest(await testPool(db.database), dice(seed));
    await forest.grow(40);
    const { query } = db.database;
    for (const volume of forest.volumes) {
      const snapshots = forest.snapshots.filter(({ of }) => of === volume.id);
      const space = await readSpace(query, volume.id);
      assert.equal(space.own_bytes, await wouldFree({ volume }), 'the volume alone');
      assert.equal(
        space.own_bytes + space.snapshot_bytes,
        await wouldFree({ volume, snapshots }),
        'with its snapshots',
      );
      assert.ok(space.mergeable_bytes <= space.own_bytes);
    }
    const [figures] = await poolFigures(query, [forest.pool.id]);
    const { rows } = await sql<{ all: number; absent: number }>`select sum(observed_allocated_bytes)::float8 as all,
        coalesce(sum(observed_allocated_bytes) filter (where desired_presence = 'absent'), 0)::float8 as absent
      from volume_layer where pool_id = ${forest.pool.id}`.execute(query);
    const { own_bytes, shared_bytes, reclaimable_bytes } = figures!;
    assert.equal(own_bytes + shared_bytes + reclaimable_bytes, rows[0]!.all, 'each layer once');
    assert.equal(reclaimable_bytes, rows[0]!.absent);
  });
}

test('what sinks or moves up is needed until its host has followed, and what is absent is about to go', async () => {
  const pool = await testPool(db.database);
  const id = newId<VolumeId>();
  const [below, between, top] = await inTx(async (tx) => {
    const made: LayerId[] = [];
    for (const bytes of [1, 10, 100]) {
      const base = made.length > 0 ? { parentId: made.at(-1)! } : null;
      const layer = await insertLayer(tx, { volumeId: id, pool, sizeBytes: 2 ** 30, base });
      await sql`update volume_layer set observed_allocated_bytes = ${bytes} where id = ${layer}`.execute(tx);
      if (made.length < 2) await freezeLayer(tx, layer);
      made.push(layer);
    }
    return made as [LayerId, LayerId, LayerId];
  });
  await testVolume(db.database, { projectId, layerId: top, id });
  const { query } = db.database;
  const zero = { snapshot_bytes: 0, shared_bytes: 0 };
  const chain = { own_bytes: 111, mergeable_bytes: 11, ...zero, reclaimable_bytes: 0 };
  assert.deepEqual(await readSpace(query, id), chain);
  await sql`update volume_layer set former_parent_id = parent_id, parent_id = ${below} where id = ${top}`.execute(
    query,
  );
  assert.deepEqual(await readSpace(query, id), chain, 'its file still builds on it');
  await sql`update volume_layer set former_parent_id = null where id = ${top}`.execute(query);
  await inTx((tx) => releaseLayers(tx, [between]));
  const merged = { own_bytes: 101, mergeable_bytes: 1, ...zero, reclaimable_bytes: 10 };
  assert.deepEqual(await volumeSpace(query, callerOf(projectId), id), { size_bytes: 2 ** 30, ...merged });
  await assert.rejects(volumeSpace(query, callerOf(newId()), id), { code: 'not_found' });
});
