import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LayerId, newId, type ServerId, type VolumeId, type VolumeKeyId } from '../../contract/ids.ts';
import { HostFault } from '../host-error.ts';
import type { LayerChain } from './chain.ts';
import { keyObject } from './names.ts';
import { OpenLayers } from './open-layers.ts';
import { forgetKeys } from './secrets.ts';

const link = (keyId?: VolumeKeyId) => ({
  ...{ layerId: newId<LayerId>(), path: '/x', sizeBytes: 1 },
  ...(keyId && { key: { id: keyId, passphrase: undefined } }),
});

/** A guest that has a chain open as a volume each, and its QEMU with these keys and another object. */
function guestWith(chains: readonly LayerChain[], keys: readonly VolumeKeyId[]) {
  const serverId = newId<ServerId>();
  const open = new OpenLayers();
  const objects = new Set(['rng', ...keys.map(keyObject)]);
  const execute = async <T>(command: string, args?: Record<string, unknown>): Promise<T> => {
    if (command === 'object-del') objects.delete(String(args!.id));
    return [...objects].map((name) => ({ name })) as T;
  };
  const volumes = chains.map(({ top }) => {
    const volumeId = newId<VolumeId>();
    open.opened({ serverId, volumeId, layerId: top.layerId, execute });
    return volumeId;
  });
  const chain = async (id: LayerId) => {
    const found = chains.find(({ top }) => top.layerId === id)!;
    if (found.top.path === 'gone') throw new HostFault('layer_not_ready', 'it is not here');
    return found;
  };
  return { execute, volumes, objects, serverId, files: { open, chain } };
}

test('a guest’s QEMU keeps the keys of what it has open, at any depth, and forgets the others', async () => {
  const [used, below, left] = [newId<VolumeKeyId>(), newId<VolumeKeyId>(), newId<VolumeKeyId>()];
  const chains = [
    { top: link(used), lower: [link(), link(below)], base: null },
    { top: link(used), lower: [], base: null },
  ];
  const { execute, files, objects, serverId, volumes } = guestWith(chains, [used, below, left]);
  await forgetKeys(execute, files, { serverId });
  assert.deepEqual([...objects], ['rng', keyObject(used), keyObject(below)]);
  await forgetKeys(execute, files, { serverId, closed: volumes[0]! });
  assert.deepEqual([...objects], ['rng', keyObject(used)]);
  await forgetKeys(execute, { ...files, open: new OpenLayers() }, { serverId });
  assert.deepEqual([...objects], ['rng']);
});

test('where it can’t be told what a guest’s QEMU needs it keeps every key', async () => {
  const key = newId<VolumeKeyId>();
  const { execute, files, objects, serverId } = guestWith(
    [{ top: { ...link(), path: 'gone' }, lower: [], base: null }],
    [key],
  );
  await forgetKeys(execute, files, { serverId });
  assert.ok(objects.has(keyObject(key)));
});
