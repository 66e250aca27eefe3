/** Caches of encrypted volumes under real QEMU: what sinks, and what is kept of reads, is encrypted with the volume's key, in each file. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId, type VolumeKeyId } from '../../contract/ids.ts';
import { CachedVolume } from '../support/cached-volume.ts';
import { until } from '../support/until.ts';
import { machineFor, smallGuest, volumeTests } from '../support/volume-machine.ts';

const mib = 2 ** 20;
const pools = [{ name: 'fast', tier: 'ram' }] as const;
const word = 'between-the-lines\n';

test('what an encrypted volume’s cache holds sinks, in its guest and without one, and lies nowhere in the clear', {
  ...volumeTests,
  timeout: 400_000,
}, async (t) => {
  const machine = await machineFor(t, { pools });
  const { world } = machine;
  const host = await machine.host();
  const encrypted = (options: { reads?: number }) => {
    const keyId = newId<VolumeKeyId>();
    world.control.keys.set(keyId, randomBytes(32).toString('hex'));
    return new CachedVolume(machine, {
      ...options,
      encryption: { keyId, cipher: 'aes-xts-plain64', keySizeBits: 256 },
    });
  };
  const all = [encrypted({}), encrypted({ reads: 8 * mib })];
  const first = [];
  for (const cached of all) {
    await cached.make();
    first.push(await cached.cover('writes'));
  }
  const volumes = () => all.map(({ volume }, at) => ({ ...volume, slot: at + 1, device: `/dev/vd${'bc'[at]}` }));
  await machine.want({ image: await smallGuest(world), volumes: volumes() });
  const shell = await machine.shell();
  t.after(() => shell.close());
  await shell.run('until [ -e /sys/block/vdc ]; do sleep 0.1; done');
  const each = async (words: (disk: string) => string) => {
    for (const disk of ['vdb', 'vdc']) await shell.run(words(disk));
  };
  await each((disk) => `yes ${word.trim()} | head -c 4000000 | dd of=/dev/${disk} bs=1M seek=8 conv=fsync 2>/dev/null`);
  const second = [];
  for (const cached of all) second.push(await cached.cover('writes'));
  await machine.want({ volumes: volumes() });
  const fast = join(world.directory, 'fast/opened', all[1]!.id);
  const kept = () =>
    (existsSync(fast) ? readdirSync(fast) : []).filter(
      (name) => name.includes('.reads') && statSync(join(fast, name)).blocks * 512 > 2 * mib,
    );
  await until('what is read to be kept', async () => {
    await shell.run(
      'sync; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vdc of=/dev/null bs=1M skip=8 count=3 2>/dev/null',
    );
    return kept().length > 0;
  });
  for (const name of kept()) assert.equal(readFileSync(join(fast, name)).includes(word), false);
  // Under the guest that has it.
  for (const [at, cached] of all.entries()) {
    await cached.tell(second[at]!, { parentId: cached.base, sinks: true });
    await cached.tell(first[at]!, { presence: 'absent' });
    assert.ok(cached.bytesOf(cached.base) > 3 * mib);
    assert.equal(readFileSync(machine.path(cached.base)).includes(word), false);
  }
  await each((disk) => `yes second | head -c 1000000 | dd of=/dev/${disk} bs=1M seek=9 conv=fsync 2>/dev/null`);
  // And when none has it, also by a host that has to ask for the keys again.
  await machine.want({ volumes: [] });
  await host.stop();
  await machine.host();
  for (const [at, cached] of all.entries()) {
    const top = await cached.cover('base');
    await cached.tell(top, { parentId: cached.base, sinks: true });
    await cached.tell(second[at]!, { presence: 'absent' });
    const bytes = await machine.contents(top);
    assert.ok(bytes.subarray(8 * mib, 9 * mib).equals(Buffer.alloc(mib, word)));
    assert.ok(bytes.subarray(9 * mib, 9 * mib + 999_999).equals(Buffer.alloc(999_999, 'second\n')));
    assert.ok(bytes.subarray(10 * mib, 11 * mib).equals(Buffer.alloc(3 * mib, word).subarray(2 * mib)));
  }
});
