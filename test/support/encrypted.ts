/** What tests of encrypted volumes look for: a pattern that a guest writes, and the places where it shall not be. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { LayerEncryption } from '../../contract/host/index.ts';
import { newId, type VolumeKeyId } from '../../contract/ids.ts';
import type { VolumeMachine } from './volume-machine.ts';

/** The guest makes it of two halves, so that no command line or memory of a shell spells it before it is on the disk. */
export const pattern = 'never-in-the-clear';
export const onDevice = (device: string, at: number) =>
  `h=never-in-; (for i in $(seq 1 4096); do printf %s $h; printf %s the-clear; done) | dd of=${device} bs=4096 seek=${at} conv=notrunc,fsync 2>/dev/null`;
/** By its digest: what the guest prints is in its console's log. */
export const readBack = (device: string, at: number) =>
  `dd if=${device} bs=18 count=1 skip=${at * 4096} iflag=skip_bytes 2>/dev/null | sha256sum | cut -c -64`;
export const expected = createHash('sha256').update(pattern).digest('hex');

export function newKey({ world }: VolumeMachine): LayerEncryption & { passphrase: string } {
  const [keyId, passphrase] = [newId<VolumeKeyId>(), randomBytes(32).toString('hex')];
  world.control.keys.set(keyId, passphrase);
  return { keyId, cipher: 'aes-xts-plain64', keySizeBits: 512, passphrase };
}

/** In no file of the host, and in nothing that other users see of a process. */
export function assertNowhere({ world }: VolumeMachine, text: string): void {
  const found = execFileSync('sh', ['-c', 'grep -rlaF -e "$1" "$2" || true', 'sh', text, world.directory]);
  assert.equal(found.toString(), '', 'in no file');
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
    for (const part of ['cmdline', 'environ']) {
      const bytes = readBytes(`/proc/${pid}/${part}`);
      assert.ok(!bytes.includes(text), `${part} of ${pid}`);
    }
  }
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
