/**
 * Many who do all to volumes at once through the API, on real QEMU, with a kill -9 of the host process and of control in the middle: everything ends as
 * asked, and no row, node, file, mount or process of it is left.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cloudPaths } from '../../../cli/settings.ts';
import { QmpClient } from '../../../protocols/qmp/index.ts';
import { notLive, until } from '../../support/live-cloud.ts';
import { VolumeCloud } from '../../support/volume-cloud.ts';

const skip = notLive ?? (process.env.BOTHY_TEST_DATA ? 'a cloud is given, and this would hurt it' : undefined);
const [people, turns] = [5, 2];
const patience = 150_000;

describe('a storm of volumes', { skip, concurrency: 1 }, () => {
  let cloud: VolumeCloud;

  before(
    async () => {
      cloud = await VolumeCloud.start();
      (await cloud.boot()).close();
    },
    { timeout: 600_000 },
  );
  after(async () => cloud?.[Symbol.asyncDispose](), { timeout: 300_000 });

  /** Names of what its QEMU has open. */
  const nodes = async (): Promise<string[]> => {
    // It speaks with one at a time, which is the host process while that lives.
    await cloud.kill('host');
    const path = join(cloudPaths(cloud.data).run, 'host/guests', cloud.serverId, 'qmp.sock');
    const qmp = await QmpClient.connect({ path, timeoutMs: 30_000 });
    const found = (await qmp.execute('query-named-block-nodes', { flat: true })) as { 'node-name': string }[];
    qmp.close();
    return found
      .map((node) => node['node-name'])
      .filter((name) => !name.startsWith('#'))
      .toSorted();
  };
  const mounts = () =>
    readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes('bothy-volumes-'));

  /** One who makes a volume, has it, keeps and clones what it holds, and removes all of it in some order. */
  async function turn(name: string, odd: boolean): Promise<void> {
    const volume_type = odd ? 'cached' : 'local';
    const id = await cloud.make('volumes', { name, size: 1, volume_type });
    await cloud.is('volumes', id, 'available');
    await cloud.attach(id);
    await cloud.is('volumes', id, 'in-use');
    const [snapshot, clone] = await Promise.all([
      cloud.make('snapshots', { name, volume_id: id, force: true }),
      cloud.make('volumes', { name: `clone ${name}`, source_volid: id }),
    ]);
    await cloud.is('snapshots', snapshot, 'available');
    const remove = async (kind: 'volumes' | 'snapshots', each: string) => {
      await cloud.act('DELETE', 'block-storage', `/${kind}/${each}`);
      await cloud.gone(kind, each);
    };
    const letGo = async () => {
      await cloud.detach(id);
      await cloud.is('volumes', id, 'available');
    };
    await Promise.all([letGo(), cloud.is('volumes', clone, 'available').then(() => remove('volumes', clone))]);
    await remove('snapshots', snapshot);
    await remove('volumes', id);
  }

  test('everybody is served, and nothing is left', { timeout: 600_000 }, async () => {
    const before = { nodes: await nodes(), mounts: mounts(), qemus: cloud.qemus.length };
    const all = Array.from({ length: people }, async (_, person) => {
      for (let n = 0; n < turns; n++) await turn(`${person} in turn ${n}`, person % 2 === 1);
    });
    const made = async () => Number((await cloud.rows('select count(*) as n from volume_snapshot'))[0].n) > 1;
    await until('some snapshots', made, patience, 20);
    await cloud.kill('host');
    await until('the host to be there again', () => cloud.connected(), patience);
    await cloud.kill('control');
    await Promise.all(all);
    const rows = async (table: string) => (await cloud.rows(`select from ${table}`)).length;
    const tables = ['volume', 'volume_snapshot', 'volume_layer', 'volume_attachment'];
    const left = async () =>
      (await Promise.all(tables.map(rows))).reduce((sum, each) => sum + each) + cloud.files().length;
    await until('all to be gone', async () => (await left()) === 0, patience);
    assert.deepEqual({ nodes: await nodes(), mounts: mounts(), qemus: cloud.qemus.length }, before);
  });
});
