/**
 * Volumes for machines outside through the whole cloud, by its API: a machine connects, writes, and goes on through a snapshot and through kill -9 of
 * the host process, control and tgtd; what it wrote is what a volume of the snapshot holds; and it is out when its attachment ends.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cloudPaths } from '../../../cli/settings.ts';
import { io, loggedIn, noInitiator, Session, type Target } from '../../support/iscsi-initiator.ts';
import { notLive, until } from '../../support/live-cloud.ts';
import { VolumeCloud } from '../../support/volume-cloud.ts';

const skip =
  notLive ?? (noInitiator || (process.env.BOTHY_TEST_DATA ? 'a cloud is given, and this would hurt it' : undefined));
const initiator = 'iqn.2004-10.com.example:machine-1';
const portals = '127.0.0.1:23270-23273';

interface Connected {
  id: string;
  target: Target;
}

describe('a machine outside', { skip, concurrency: 1 }, () => {
  let cloud: VolumeCloud;

  before(
    async () => {
      cloud = await VolumeCloud.start({ settings: { iscsi_portal: portals }, guest: false });
    },
    { timeout: 600_000 },
  );
  after(async () => cloud?.[Symbol.asyncDispose](), { timeout: 300_000 });

  async function connect(volume_uuid: string, name = initiator): Promise<Connected> {
    const connector = { initiator: name, host: 'machine', ip: '127.0.0.1', multipath: false };
    const { attachment } = await cloud.volumes('POST', '/attachments', { attachment: { volume_uuid, connector } });
    const { target_portal: portal, target_iqn: iqn, target_lun: lun, ...rest } = attachment.connection_info;
    const target = { portal, iqn, lun, user: rest.auth_username, secret: rest.auth_password };
    await cloud.volumes('POST', `/attachments/${attachment.id}/action`, { 'os-complete': {} });
    return { id: attachment.id, target };
  }

  const disconnect = ({ id }: Connected) => cloud.volumes('DELETE', `/attachments/${id}`);
  const address = ({ portal, iqn, lun, user, secret }: Target) => `iscsi://${user}%${secret}@${portal}/${iqn}/${lun}`;
  const make = async (body: { name: string } & Record<string, unknown>) => {
    const id = await cloud.make('volumes', { size: 1, volume_type: 'local', ...body });
    await cloud.is('volumes', id, 'available');
    return id;
  };

  /** Of the cloud's jails. */
  const pidsOf = (program: string): number[] =>
    readdirSync('/proc').flatMap((entry) => {
      try {
        const words = /^\d+$/.test(entry) ? readFileSync(`/proc/${entry}/cmdline`, 'latin1').split('\0') : [];
        return words[0] === program ? [Number(entry)] : [];
      } catch {
        return [];
      }
    });

  test('it goes on through a snapshot and through deaths, and is out when its attachment ends', {
    timeout: 600_000,
  }, async () => {
    const id = await make({ name: 'outside' });
    const connected = await connect(id);
    const { target } = connected;
    await cloud.is('volumes', id, 'in-use');
    const session = new Session(target, initiator);
    try {
      await session.do('write -P 7 1M 64k');
      await session.do('flush');
      const snapshot = await cloud.make('snapshots', { name: 'of it', volume_id: id, force: true });
      await cloud.is('snapshots', snapshot, 'available');
      await session.do('write -P 8 1M 64k');
      await session.do('flush');

      const other = await make({ name: 'of the snapshot', snapshot_id: snapshot });
      const second = await connect(other, 'iqn.2004-10.com.example:machine-2');
      await io(second.target, 'iqn.2004-10.com.example:machine-2', ['read -P 7 1M 64k']);
      assert.notEqual(second.target.portal, target.portal);
      await disconnect(second);
      await session.do('read -P 8 1M 64k');

      for (const name of ['host', 'control']) {
        await cloud.kill(name);
        await session.do('write -P 9 2M 64k');
        await session.do('read -P 9 2M 64k');
        await until('the host to speak with control', () => cloud.connected(), 60_000);
      }
      const [tgtd] = pidsOf('tgtd');
      process.kill(tgtd!, 'SIGKILL');
      await until('another tgtd', async () => pidsOf('tgtd').some((pid) => pid !== tgtd));
      await session.do('write -P 10 3M 64k');
      await session.do('flush');
      await session.do('read -P 10 3M 64k');
      await session.do('read -P 9 2M 64k');
      const again = (await cloud.volumes('GET', `/attachments/${connected.id}`)).attachment.connection_info;
      assert.deepEqual([again.target_portal, again.auth_password], [target.portal, target.secret]);
    } finally {
      session.end();
    }
    await disconnect(connected);
    await cloud.is('volumes', id, 'available');
    assert.equal(await loggedIn(address(target), initiator), false, 'it has ended');
    // What it wrote is there for whoever has the volume next.
    const last = await connect(id, 'iqn.2004-10.com.example:machine-3');
    await io(last.target, 'iqn.2004-10.com.example:machine-3', ['read -P 10 3M 64k', 'read -P 8 1M 64k']);
    await disconnect(last);
    for (const { id: each } of (await cloud.volumes('GET', '/snapshots')).snapshots) {
      await cloud.volumes('DELETE', `/snapshots/${each}`);
      await cloud.gone('snapshots', each);
    }
    for (const { id: each } of (await cloud.volumes('GET', '/volumes')).volumes) {
      await cloud.volumes('DELETE', `/volumes/${each}`);
      await cloud.gone('volumes', each);
    }
    await until('no file to be left', async () => cloud.files().length === 0);
    assert.deepEqual(pidsOf('tgtd'), []);
    assert.deepEqual(readdirSync(join(cloudPaths(cloud.data).data, 'host/exports')), []);
  });

  test('a volume leaves the cloud as a file, and comes back as a volume of the same content', {
    timeout: 600_000,
  }, async () => {
    const id = await make({ name: 'leaves' });
    const first = await connect(id);
    await io(first.target, initiator, ['write -P 5 1M 64k', 'flush']);
    await disconnect(first);
    await cloud.is('volumes', id, 'available');
    await cloud.act('POST', 'block-storage', `/volumes/${id}/action`, { 'os-unmanage': null });
    await cloud.kill('host');
    await cloud.gone('volumes', id);
    const place = join(cloud.pool('local'), 'manage');
    assert.deepEqual(readdirSync(place), [`${id}.qcow2`]);
    assert.match(execFileSync('qemu-img', ['check', join(place, `${id}.qcow2`)], { encoding: 'utf8' }), /No errors/);
    const { pools } = await cloud.volumes('GET', '/scheduler-stats/get_pools');
    const host = pools.find(({ name }: { name: string }) => name.endsWith('#local')).name;
    const listed = await cloud.volumes('GET', `/manageable_volumes?host=${encodeURIComponent(host)}`);
    assert.deepEqual(listed['manageable-volumes'], [
      { reference: { 'source-name': `${id}.qcow2` }, size: 1, safe_to_manage: true },
    ]);
    const ref = { 'source-name': `${id}.qcow2` };
    const wish = { host, ref, name: 'back', volume_type: 'local' };
    const { volume } = await cloud.volumes('POST', '/manageable_volumes', { volume: wish });
    await cloud.kill('host');
    await cloud.is('volumes', volume.id, 'available');
    assert.deepEqual(readdirSync(place), []);
    const last = await connect(volume.id);
    await io(last.target, initiator, ['read -P 5 1M 64k']);
    await disconnect(last);
    await cloud.volumes('DELETE', `/volumes/${volume.id}`);
    await cloud.gone('volumes', volume.id);
  });
});
