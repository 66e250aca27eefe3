/** A full disk under an image, for real: a small file system of its own. Needs root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostWorld, wantedServer } from '../support/host-world.ts';

test('a disk that is full refuses the image, keeps nothing of it, and goes on', {
  skip: process.getuid?.() !== 0,
}, async (t) => {
  const world = await hostWorld(t);
  const images = join(world.directory, 'data/images');
  mkdirSync(images, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', images]);
  const host = world.host();
  try {
    await host.start();
    const small = await world.storeImage(Buffer.alloc(1024 * 1024));
    for (const size of [9, 12, 40]) {
      await assert.rejects(world.storeImage(Buffer.alloc(size * 1024 * 1024)), { code: 'no_capacity' });
    }
    assert.deepEqual(readdirSync(join(images, 'incoming')), []);
    await world.storeImage(Buffer.alloc(4 * 1024 * 1024));
    const server = wantedServer(small);
    world.control.want(server);
    await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  } finally {
    await host.stop();
    execFileSync('umount', ['-l', images]);
  }
});
