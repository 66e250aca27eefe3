/** A chain of layers comes from one host to another, layer by layer, and either host's process may die at any step. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredLayer, ObservedLayer } from '../../contract/host/index.ts';
import { type HostId, type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import type { Host } from '../../host/host.ts';
import { ProcessDied } from '../../host/step-loop.ts';
import { headerAt } from '../../host/volume/chain.ts';
import { wantedBase } from '../../host/volume/decide.ts';
import { type HostWorld, hostWorld } from '../support/host-world.ts';
import { partOf } from '../support/part-of.ts';
import { until } from '../support/until.ts';

const wantedLayer = (changes: Partial<DesiredLayer> = {}): DesiredLayer => ({
  ...{ id: newOrderedId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 1, presence: 'present' },
  ...{ pool: 'local', sizeBytes: 2 ** 26, parentId: null, image: null, readOnly: false },
  ...changes,
});
const isReady = ({ state, step }: ObservedLayer) => state === 'ready' && step === null;
const file = (world: HostWorld, { id }: { id: LayerId }) => join(world.directory, 'data/volumes/layers', `${id}.qcow2`);

interface Pair {
  source: HostWorld;
  target: HostWorld;
  /** The source's process. */
  host: Host;
}

async function pair(t: TestContext): Promise<Pair> {
  const source = await hostWorld(t);
  const target = await hostWorld(t, { authority: source.authority });
  const host = source.host();
  await host.start();
  return { source, target, host };
}

/** One on another, both frozen, with something in them beyond what was made, and a hole. */
async function frozenChain({ source, target }: Pair, by: HostId = target.hostId): Promise<DesiredLayer[]> {
  const lower = wantedLayer({ readOnly: true, copiedBy: [by] });
  const upper = wantedLayer({ readOnly: true, copiedBy: [by], parentId: lower.id });
  for (const layer of [lower, upper]) {
    source.control.wantLayer({ ...layer, copiedBy: [] });
    await source.control.untilLayer(layer.id, 'ready', isReady);
    appendFileSync(file(source, layer), Buffer.concat([Buffer.alloc(2 ** 20), Buffer.from(layer.id)]));
    source.control.wantLayer({ ...layer, generation: 2 });
    await source.control.untilLayer(layer.id, 'given', ({ generation }) => generation === 2);
  }
  return [lower, upper];
}

/** Copies of a chain, on each other. */
function copiesOf(chain: readonly DesiredLayer[], host: string): DesiredLayer[] {
  let parentId: LayerId | null = null;
  return chain.map(({ id: layerId, sizeBytes }) => {
    const copy = wantedLayer({ readOnly: true, sizeBytes, parentId, copyOf: { layerId, host } });
    parentId = copy.id;
    return copy;
  });
}

async function assertCopied({ source, target }: Pair, chain: DesiredLayer[], copies: DesiredLayer[]): Promise<void> {
  for (const [n, copy] of copies.entries()) {
    await target.control.untilLayer(copy.id, 'ready', isReady);
    const expected = readFileSync(file(source, chain[n]!)).toString('latin1');
    const base = copy.parentId === null ? expected : expected.replace(chain[n]!.parentId!, copy.parentId);
    assert.equal(readFileSync(file(target, copy)).toString('latin1') === base, true);
    const header = await headerAt(file(target, copy), [wantedBase(copy)]);
    assert.deepEqual(header?.buildsOn, wantedBase(copy));
  }
  const names = readdirSync(join(target.directory, 'data/volumes/layers')).sort();
  assert.deepEqual(names, copies.map(({ id }) => `${id}.qcow2`).sort());
}

test('a chain comes from another host layer by layer, byte for byte but for what each builds on', async (t) => {
  const both = await pair(t);
  const chain = await frozenChain(both);
  const { control } = both.target;
  await both.target.host().start();
  const copies = copiesOf(chain, both.host.facts().url);
  // The upper one first: it waits for the lower one.
  for (const copy of copies.toReversed()) control.wantLayer(copy);
  await assertCopied(both, chain, copies);
});

test('a host says how much of a copy has come before it is there', async (t) => {
  const both = await pair(t);
  const [lower] = await frozenChain(both);
  const { control } = both.target;
  const [copy] = copiesOf([lower!], both.host.facts().url);
  const told: ObservedLayer[] = [];
  const step = async (name: string) => {
    const isCome = ({ state, allocatedBytes }: ObservedLayer) => state === 'building' && allocatedBytes > 0;
    if (name === 'copy-layer') told.push(await control.untilLayer(copy!.id, 'on its way', isCome));
  };
  await both.target.host({ dependencies: { step } }).start();
  control.wantLayer(copy!);
  await control.untilLayer(copy!.id, 'ready', isReady);
  assert.equal(told.length, 1);
});

test('what builds on an image that was deleted since is copied: the host that has it gives the image, too', async (t) => {
  const { source, target, host } = await pair(t);
  const image = await source.storeImage();
  const layer = wantedLayer({ readOnly: true, image, copiedBy: [target.hostId] });
  source.control.wantLayer(layer);
  await source.control.untilLayer(layer.id, 'ready', isReady);
  await source.client.deleteImage(source.endpoint(), image.id);
  await target.host().start();
  const { url } = host.facts();
  const copyOf = { layerId: layer.id, host: url };
  const copy = wantedLayer({ readOnly: true, image: { ...image, sources: [url] }, copyOf });
  target.control.wantLayer(copy);
  await target.control.untilLayer(copy.id, 'ready', isReady);
});

test('a layer is given to the host alone that its document names, and not before it is final', async (t) => {
  const both = await pair(t);
  const { source, target } = both;
  const chain = await frozenChain(both, newId<HostId>());
  await target.host().start();
  const [copy] = copiesOf(chain, both.host.facts().url);
  target.control.wantLayer(copy!);
  const refused = await target.control.untilLayer(copy!.id, 'refused', ({ error }) => error !== null);
  assert.deepEqual([refused.state, refused.error?.code], ['building', 'layer_unreachable']);
  assert.match(refused.error!.message, /404/);
  const open = { ...chain[0]!, generation: 3, readOnly: false, copiedBy: [target.hostId] };
  source.control.wantLayer(open);
  await target.control.untilLayer(copy!.id, 'still refused', ({ error }) => error?.message.includes('409') === true);
  assert.equal(existsSync(file(target, copy!)), false);
  source.control.wantLayer({ ...open, generation: 4, readOnly: true });
  await target.control.untilLayer(copy!.id, 'ready', isReady);
});

test('a layer is taken of no host but the one that its document names, also where another has shown its certificate before', async (t) => {
  const both = await pair(t);
  const { source, target } = both;
  const chain = await frozenChain(both);
  await target.host().start();
  const host = both.host.facts().url;
  const [lower, upper] = copiesOf(chain, host);
  // Of any host, as an older control says it.
  target.control.wantLayer(lower!);
  await target.control.untilLayer(lower!.id, 'ready', isReady);
  const { layerId } = upper!.copyOf!;
  target.control.wantLayer({ ...upper!, copyOf: { layerId, host, hostId: newId<HostId>() } });
  const refused = await target.control.untilLayer(upper!.id, 'refused', ({ error }) => error !== null);
  assert.deepEqual([refused.state, refused.error?.code], ['building', 'layer_unreachable']);
  assert.match(refused.error!.message, new RegExp(`that of host ${source.hostId}`));
  assert.equal(existsSync(file(target, upper!)), false);
  target.control.wantLayer({ ...upper!, generation: 2, copyOf: { layerId, host, hostId: source.hostId } });
  await target.control.untilLayer(upper!.id, 'ready', isReady);
});

/** After which step of its: none has more. */
const deaths = { source: [1, 2], target: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] };

for (const side of ['source', 'target'] as const) {
  test(`a copy is the same wherever the ${side}'s process dies`, async (t) => {
    const died: string[] = [];
    for (const n of partOf(deaths[side], 2)) died.push((await runOnce(t, side, n)) ?? 'the end');
    t.diagnostic(`died after: ${died.join(', ')}`);
    assert.ok(died.length > 0);
  });
}

async function runOnce(t: TestContext, side: 'source' | 'target', n: number): Promise<string | undefined> {
  const both = await pair(t);
  const { source, target } = both;
  const chain = await frozenChain(both);
  await both.host.stop();
  let left = Number.POSITIVE_INFINITY;
  let last: string | undefined;
  const step = (name: string) => {
    if (--left > 0) return;
    last = name;
    throw new ProcessDied(name);
  };
  const mortal = { dependencies: { step } };
  const giver = source.host(side === 'source' ? mortal : {});
  const taker = target.host(side === 'target' ? mortal : {});
  await giver.start();
  await taker.start();
  left = n;
  const copies = copiesOf(chain, giver.facts().url);
  // What the source does meanwhile: a layer on top, which its steps are of.
  if (side === 'source') source.control.wantLayer(wantedLayer({ parentId: chain[1]!.id }));
  for (const copy of copies) target.control.wantLayer(copy);
  const through = () => copies.every(({ id }) => target.control.observedLayers.get(id)?.state === 'ready');
  await until('death or the end', () => last !== undefined || through());
  if (last !== undefined) {
    const next = side === 'source' ? source : target;
    next.control.observedLayers.clear();
    const again = next.host();
    await again.start();
    const moved = { host: again.facts().url };
    if (side === 'source')
      for (const copy of copies) {
        copy.generation = 2;
        copy.copyOf = { ...copy.copyOf!, ...moved };
        target.control.wantLayer({ ...copy });
      }
  }
  await assertCopied(both, chain, copies);
  return last;
}
