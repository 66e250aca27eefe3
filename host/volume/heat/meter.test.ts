import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CacheUse } from '../../../contract/host/index.ts';
import { type LayerId, newOrderedId, type VolumeId } from '../../../contract/ids.ts';
import type { Execute } from '../../../protocols/qmp/index.ts';
import { allocatedClusters } from './allocated.ts';
import { CacheMeter, type UsedCache } from './meter.ts';

const cluster = 65536;

/** A generation's file as QEMU leaves it: a header, a table of tables, one table, and what it holds of a volume of 512 MiB. */
function generation(path: string, clusters: readonly number[]): void {
  const bytes = Buffer.alloc((3 + clusters.length) * cluster, 1);
  bytes.fill(0, 0, 3 * cluster);
  bytes.write('QFI\xfb', 'latin1');
  bytes.writeUInt32BE(16, 20);
  bytes.writeUInt32BE(1, 36);
  bytes.writeBigUInt64BE(BigInt(cluster), 40);
  bytes.writeBigUInt64BE(BigInt(2 * cluster) | (1n << 63n), cluster);
  clusters.forEach((each, at) => {
    bytes.writeBigUInt64BE(BigInt((3 + at) * cluster) | (1n << 63n), 2 * cluster + 8 * each);
  });
  writeFileSync(path, bytes);
}

test('what a generation holds is read from its tables, and what they say of places that are not there is not believed', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bh-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'one');
  const sizeBytes = 2 ** 29;
  generation(path, [3, 4, 8000]);
  assert.deepEqual(await allocatedClusters(path, { sizeBytes, every: 1 }), new Set([3, 4, 8000]));
  writeFileSync(path, 'nothing of the kind');
  assert.equal(await allocatedClusters(path, { sizeBytes, every: 1 }), undefined);
  assert.equal(await allocatedClusters(join(directory, 'none'), { sizeBytes, every: 1 }), undefined);
  generation(path, [3]);
  const wild = Buffer.alloc(3 * cluster);
  wild.write('QFI\xfb', 'latin1');
  wild.writeUInt32BE(16, 20);
  wild.writeUInt32BE(0xffff_ffff, 36);
  wild.writeBigUInt64BE(BigInt(cluster), 40);
  wild.writeBigUInt64BE(0xff_ffff_ffff_0000n, cluster);
  writeFileSync(path, wild);
  assert.deepEqual(await allocatedClusters(path, { sizeBytes, every: 1 }), new Set());
});

test('reads, misses, and what comes again are counted over generations, and told', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bh-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const ids = { volumeId: newOrderedId<VolumeId>(), layerId: newOrderedId<LayerId>() };
  const seen = { reads: 0, file: 'one' };
  const execute = (async () => [
    { qdev: `/machine/peripheral/vol-${ids.volumeId}/virtio-backend`, stats: { rd_operations: seen.reads } },
  ]) as Execute;
  const told: CacheUse[] = [];
  const caches = (): UsedCache[] => [
    { ...ids, execute, fills: { path: join(directory, seen.file), bytes: 2 ** 20 }, sizeBytes: 2 ** 29 },
  ];
  const meter = new CacheMeter({ caches, tell: (_, use) => told.push(use) });
  t.after(() => meter.close());
  let now = 1000;
  const look = (ms: number) => {
    now += ms;
    return meter.look(now);
  };
  generation(join(directory, 'one'), []);
  await look(0);
  generation(join(directory, 'one'), [1, 2, 3, 4]);
  seen.reads = 100;
  await look(1000);
  assert.equal(told.length, 0);
  // Another generation: of what comes into it one half was in the first one. The guest began anew on the way.
  seen.file = 'two';
  generation(join(directory, 'two'), []);
  await look(1000);
  generation(join(directory, 'two'), [3, 4, 5, 6]);
  seen.reads = 50;
  await look(1000);
  seen.file = 'three';
  generation(join(directory, 'three'), []);
  await look(20_000);
  const use = told.at(-1)!;
  const { reads, misses, generations, againBytes, freshBytes } = use;
  assert.deepEqual([reads, misses >= 8, generations], [150, true, 2]);
  assert.deepEqual([againBytes[0], againBytes[1], freshBytes], [2 * cluster, 0, 6 * cluster]);
});
