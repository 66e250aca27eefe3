/** A pool that becomes full under a guest that writes, while somebody dies, for live tests of volumes through deaths. */
import assert from 'node:assert/strict';
import type { GuestShell } from './guest-shell.ts';
import { until } from './live-cloud.ts';
import { begin, deviceOf, end } from './numbered-sequence.ts';
import type { VolumeCloud } from './volume-cloud.ts';

const paused = 3;
/** More than the pool has room for. */
const bytes = 150_000_000;

/**
 * The guest stands still, and who has the volume is told why; somebody is killed, twice where the guest lives on: while it stands still, and when
 * there is room again. What comes of it is an exact prefix of what was written.
 * @param death.revive the guest ends with it, and has to be started again
 */
export async function fillPool(
  cloud: VolumeCloud,
  shell: () => GuestShell,
  { kill, revive }: { kill(): Promise<void>; revive?(): Promise<void> },
): Promise<void> {
  const id = await cloud.make('volumes', { name: `full ${Date.now()}`, size: 1, volume_type: 'tight' });
  await cloud.is('volumes', id, 'available');
  await cloud.attach(id);
  await cloud.is('volumes', id, 'in-use');
  await shell().run('rm -f /tmp/at-* /tmp/ended-* /tmp/enough /tmp/filled');
  const device = await shell().run(deviceOf(id));
  await shell().run(begin(device));
  const told = async () => Number(await shell().run(`cat /tmp/at-${device} 2>/dev/null || echo 0`));
  await until('some blocks to be written', async () => (await told()) > 8);
  let least = await told();
  const fill = `yes full | head -c ${bytes} | dd of=/dev/${device} bs=1M seek=16 conv=notrunc,fsync && touch /tmp/filled`;
  await shell().run(`(${fill}) >/dev/null 2>&1 &`);
  await power(cloud, paused);
  await until('its owner to be told', async () => {
    const { messages } = await cloud.volumes('GET', `/messages?resource_uuid=${id}`);
    return messages.some(({ user_message: words }: { user_message: string }) => /no room/.test(words));
  });
  await kill();
  if (!revive) {
    await until('the host to be back', () => cloud.connected());
    await power(cloud, paused);
  }
  cloud.resize('tight', '400m');
  await (revive ?? kill)();
  if (!revive) {
    await power(cloud, 1);
    await shell().run(`${end([device])}`, 120_000);
    await shell().run('until [ -e /tmp/filled ]; do sleep 0.1; done', 120_000);
    assert.equal(await shell().run('dmesg | grep -c "I/O error" || true'), '0');
    least = await told();
  }
  await cloud.detach(id);
  await cloud.is('volumes', id, 'available');
  const found = await cloud.sequence('volume', id);
  assert.ok(revive ? found >= least : found === least, `${found}, told ${least}`);
  await cloud.act('DELETE', 'block-storage', `/volumes/${id}`);
  await cloud.gone('volumes', id);
  await until('its file to be gone', async () => cloud.files().length === 0);
  // Who had the file open may be about to close it: until then it takes its room.
  await until('its room to be free', async () => {
    try {
      cloud.resize('tight', '96m');
      return true;
    } catch {
      return false;
    }
  });
}

async function power(cloud: VolumeCloud, wanted: number): Promise<void> {
  const is = async () => {
    const { server } = await cloud.must('GET', 'compute', `/servers/${cloud.serverId}`);
    return server['OS-EXT-STS:power_state'] === wanted && server.status === 'ACTIVE';
  };
  await until(`its power state to be ${wanted}`, is, 150_000);
}
