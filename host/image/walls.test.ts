import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runWalledIn } from './walls.ts';

test('what runs behind the walls has small stacks and few arenas: dozens of threads fit into the address space', async () => {
  const asked = ['sh', '-c', 'ulimit -s; echo "$MALLOC_ARENA_MAX"; ulimit -v'];
  const { stdout, failed } = await runWalledIn(asked, { user: undefined, path: '/' });
  const [stackKiB, arenas, spaceKiB] = stdout.trim().split('\n').map(Number);
  assert.equal(failed, false);
  // qemu-img has at most 64 threads (--nproc); an arena is 64 MiB.
  assert.ok(64 * stackKiB! + arenas! * 65_536 < spaceKiB! / 2, stdout);
});
