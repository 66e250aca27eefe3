/**
 * The database is lost under volumes: one that its guest writes to all the while, one with a snapshot that a clone builds on. One command takes
 * them up, with who has them; what they hold is what they held. Makes a cloud of its own, for this would hurt a shared one.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { GuestShell } from '../../support/guest-shell.ts';
import { notLive, until } from '../../support/live-cloud.ts';
import { begin, deviceOf, end } from '../../support/numbered-sequence.ts';
import { VolumeCloud } from '../../support/volume-cloud.ts';

const skip = notLive ?? (process.env.BOTHY_TEST_DATA ? 'a cloud is given, and this would hurt it' : undefined);

const write = (text: string, device: string, seekMiB: number) =>
  `yes ${text} | head -c 12000000 | dd of=/dev/${device} bs=1M seek=${seekMiB} conv=notrunc,fsync 2>/dev/null`;
const digest = (device: string) => `dd if=/dev/${device} bs=1M count=32 2>/dev/null | sha256sum | cut -c -64`;

describe('a lost database under volumes', { skip, concurrency: 1 }, () => {
  let cloud: VolumeCloud;
  let shell: GuestShell;
  let [written, kept, snapshot, clone] = ['', '', '', ''];
  let pid: number;
  const devices = { written: '', kept: '' };
  const digests = { before: '', after: '' };
  const told = async () => Number(await shell.run(`cat /tmp/at-${devices.written} 2>/dev/null || echo 0`));
  const writesOn = async (beyond: number) => until('it to write on', async () => (await told()) > beyond);

  const attached = async (name: string): Promise<[id: string, device: string]> => {
    const id = await cloud.make('volumes', { name, size: 1, volume_type: 'local' });
    await cloud.is('volumes', id, 'available');
    await cloud.attach(id);
    await cloud.is('volumes', id, 'in-use');
    return [id, await shell.run(deviceOf(id))];
  };

  before(
    async () => {
      cloud = await VolumeCloud.start();
      shell = await cloud.boot();
      [written, devices.written] = await attached('written 🏔');
      [kept, devices.kept] = await attached('kept');
      await shell.run(write('before', devices.kept, 0));
      digests.before = await shell.run(digest(devices.kept));
      snapshot = await cloud.make('snapshots', { name: 'as it was', volume_id: kept, force: true });
      await cloud.is('snapshots', snapshot, 'available');
      clone = await cloud.make('volumes', { name: 'clone', size: 1, snapshot_id: snapshot });
      await cloud.is('volumes', clone, 'available');
      await shell.run(write('after', devices.kept, 8));
      digests.after = await shell.run(digest(devices.kept));
      assert.notEqual(digests.after, digests.before);
      await shell.run(begin(devices.written));
      await writesOn(8);
      [pid = 0] = cloud.qemus;
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      shell?.close();
      await cloud?.[Symbol.asyncDispose]();
    },
    { timeout: 300_000 },
  );

  test('nothing of them is touched, and their guest writes on', { timeout: 300_000 }, async () => {
    const files = cloud.files().toSorted();
    await cloud.loseDatabase();
    // A snapshot is a layer of its volume.
    await until('all to be in quarantine', async () => {
      const list = await cloud.bothy('recover', '--list');
      return [written, kept, clone].every((id) => list.includes(id));
    });
    assert.deepEqual(cloud.files().toSorted(), files);
    assert.deepEqual(cloud.qemus, [pid]);
    await writesOn(await told());
  });

  test('one command takes them up, with who has them', { timeout: 300_000 }, async () => {
    await cloud.bothy('recover');
    await cloud.serverIs('ACTIVE');
    for (const id of [written, kept]) {
      const { attachments } = await cloud.is('volumes', id, 'in-use');
      assert.deepEqual(
        attachments.map(({ server_id }: { server_id: string }) => server_id),
        [cloud.serverId],
      );
    }
    await cloud.is('volumes', clone, 'available');
    await cloud.is('snapshots', snapshot, 'available');
    assert.deepEqual(cloud.qemus, [pid], 'the guest is the same process');
    await writesOn(await told());
    assert.equal(await shell.run(digest(devices.kept)), digests.after);
  });

  test('they hold what they held, and can be had, made and removed as any', { timeout: 300_000 }, async () => {
    const made = await cloud.make('volumes', { name: 'made of it', size: 1, snapshot_id: snapshot });
    for (const id of [clone, made]) {
      await cloud.is('volumes', id, 'available');
      await cloud.attach(id);
      await cloud.is('volumes', id, 'in-use');
      assert.equal(await shell.run(digest(await shell.run(deviceOf(id)))), digests.before);
    }
    await shell.run(end([devices.written]), 120_000);
    const last = await told();
    const all = [written, kept, clone, made];
    for (const id of all) await cloud.detach(id);
    for (const id of all) await cloud.is('volumes', id, 'available');
    assert.equal(await cloud.sequence('volume', written), last);
    await cloud.act('DELETE', 'block-storage', `/snapshots/${snapshot}`);
    for (const id of all) await cloud.act('DELETE', 'block-storage', `/volumes/${id}`);
    for (const id of all) await cloud.gone('volumes', id);
    await until('layers to be gone', async () => cloud.files().length === 0, 150_000);
  });
});
