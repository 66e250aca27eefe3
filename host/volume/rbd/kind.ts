/**
 * Layers as images of a Ceph cluster and their snapshots (ledger.ts says which is what). To freeze a volume's top is a snapshot of the image
 * that its guest has open and goes on with: the guest is not told. A clone reads through to the snapshot that it was made of, and the cluster
 * keeps that snapshot as long as a clone does, also where the layer, and its image, are gone: so layers go in any order here.
 *
 * Owns the images of its pools. An image or snapshot comes before it is noted as a layer; what is not noted is made again. If the process
 * dies after any step the next look goes on from what is noted.
 */
import type { DesiredLayer } from '../../../contract/host/index.ts';
import type { LayerId } from '../../../contract/ids.ts';
import { HostFault } from '../../host-error.ts';
import type { LayerChain } from '../chain.ts';
import type { LayerKind } from '../kind.ts';
import type { StepWork } from '../steps/step.ts';
import type { LayerTask, SeenLayer } from '../task.ts';
import { flattened, grown, removed } from './changing.ts';
import type { Placed } from './ledger.ts';
import { made, restored } from './making.ts';
import { layerImage, type RbdPool } from './pool.ts';
import { poolOf, type RbdWorld, sizeIn } from './world.ts';

/** How often it is asked what a layer takes: Ceph counts it anew each time. */
const countEveryMs = 60_000;

export function rbdLayers(world: RbdWorld): LayerKind {
  const counted = new Map<LayerId, { at: number; bytes: number }>();
  return {
    look: (task, desired) => look(world, counted, task, desired),
    steps: {
      async make(work) {
        requireClear(work);
        return made(world, work);
      },
      async restore(work) {
        requireClear(work);
        return restored(world, work);
      },
      async 'take-over'() {
        const message = 'nothing is taken over into a pool of a Ceph cluster';
        throw new HostFault('managed_refused', message, { permanent: true });
      },
      async copy() {
        const message = 'nothing is copied from another host into a pool of a Ceph cluster';
        throw new HostFault('copy_refused', message, { permanent: true });
      },
      rebase: (work, { onto }) => flattened(world, work, onto),
      grow: (work) => grown(world, work),
      async remove(work) {
        counted.delete(work.task.id);
        return removed(world, work);
      },
      // What a clone reads is in the cluster, and whoever has the key has all rights.
      fetch: async () => undefined,
      // A cache does not sink into an image of a cluster.
      async sink() {
        throw new HostFault('invalid', 'a layer in a Ceph cluster takes in no cache', { permanent: true });
      },
      seal: async () => undefined,
      'take-back': async () => undefined,
    },
    whileStill: (task, desired, work) => whileStill(world, task, desired, work),
    readsImages: false,
  };
}

/** @throws HostFault: it would lie in the cluster in the clear */
function requireClear({ desired }: StepWork): void {
  if (desired.encryption)
    throw new HostFault('encrypted', 'no layer in a Ceph cluster is encrypted by its host', { permanent: true });
}

async function look(
  world: RbdWorld,
  counted: Map<LayerId, { at: number; bytes: number }>,
  { id, context }: LayerTask,
  desired: DesiredLayer,
): Promise<SeenLayer | undefined> {
  if (context.pools.has(desired.pool)) await context.pools.require(desired.pool, { toMake: false });
  const pool = poolOf(world, desired);
  const placed = pool?.ledger.of(id);
  if (!pool || !placed) return undefined;
  const owner = desired.readOnly ? 'group' : 'root';
  // A place that was only claimed is nothing yet, but has to be given up.
  if (placed.after)
    return desired.presence === 'absent' ? { sizeBytes: 0, allocatedBytes: 0, buildsOn: null, owner } : undefined;
  const sizeBytes = await sizeIn(pool, id, placed);
  // What is noted of one whose image is gone has to go as well.
  if (sizeBytes === undefined && desired.presence === 'present') return undefined;
  const known = counted.get(id);
  if (sizeBytes !== undefined && !(known && performance.now() - known.at < countEveryMs))
    counted.set(id, { at: performance.now(), bytes: await bytesOf(pool, id, placed) });
  const allocatedBytes = counted.get(id)?.bytes ?? 0;
  return { sizeBytes: sizeBytes ?? 0, allocatedBytes, buildsOn: placed.buildsOn, owner };
}

/** Its own; what its image's earlier layers have is theirs. */
async function bytesOf({ client, ledger }: RbdPool, id: LayerId, placed: Placed): Promise<number> {
  // Nothing there is anybody's own any more, and `rbd du` (Ceph 16.2) is not at its best with such images: not asked.
  if (ledger.within(placed.image).every((each) => ledger.of(each)?.frozen)) return 0;
  interface Usage {
    images: { name: string; snapshot?: string; used_size: number }[];
  }
  const said = await client.json<Usage>(['du', client.spec(layerImage(placed.image))]);
  const own = said.images.find(({ snapshot }) => snapshot === (placed.frozen ? id : undefined));
  return own?.used_size ?? 0;
}

async function whileStill<T>(
  world: RbdWorld,
  task: LayerTask,
  desired: DesiredLayer,
  work: (chain: LayerChain) => Promise<T>,
): Promise<T> {
  const { files, pools } = task.context;
  await pools.require(desired.pool, { toMake: false });
  const pool = world.pools.get(desired.pool)!;
  return files.lock(task.id, async () => {
    if (files.open.writersOf(task.id).length > 0) throw new HostFault('layer_not_ready', 'a guest writes to the layer');
    const placed = pool.ledger.of(task.id);
    if (!placed || placed.after) throw new HostFault('layer_not_ready', 'the layer is not there yet');
    // The head stays what it is meanwhile: a next layer is made within this lock, too.
    const from = pool.client.spec(layerImage(placed.image), placed.frozen ? task.id : undefined);
    const { sizeBytes } = desired;
    return world.work.withChain(task.context, pool.client, { from, layerId: task.id, sizeBytes }, { act: work });
  });
}
