/** What lies where a guest's sockets should be, once its QEMU runs: its own sockets, and nothing that leads elsewhere. */
import assert from 'node:assert/strict';
import { lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { newId, type ServerId } from '../../contract/ids.ts';
import { serverPaths } from '../paths.ts';
import { openRunDirectory, sealRunDirectory } from './ownership.ts';

const user = { uid: 0x6fff_f123, gid: 0x6fff_f123, groups: [] };
const options = { skip: process.getuid?.() !== 0 && 'needs root, to give files away' };

async function running(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bh-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const paths = serverPaths({ dataDirectory: directory, runDirectory: directory }, newId<ServerId>());
  mkdirSync(paths.run, { recursive: true });
  const listen = async (path: string) => {
    const server = createServer();
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    lchownSync(path, user.uid, user.gid);
  };
  for (const path of [paths.qmp, paths.serial]) await listen(path);
  return { paths, listen, seals: () => sealRunDirectory(paths, user, { guestAgent: false }) };
}

test('a guest has its own sockets, with a screen or, of before there were any, without', options, async (t) => {
  const { paths, listen, seals } = await running(t);
  assert.equal(await seals(), true);
  await listen(paths.vnc);
  assert.equal(await seals(), true);
});

test(
  'a link in the place of a screen, to another guest’s or to what is not there yet, is found',
  options,
  async (t) => {
    const [mine, other] = [await running(t), await running(t)];
    await other.listen(other.paths.vnc);
    for (const target of [other.paths.vnc, join(other.paths.run, 'later.sock')]) {
      symlinkSync(target, mine.paths.vnc);
      assert.equal(await mine.seals(), false, target);
      rmSync(mine.paths.vnc);
    }
  },
);

test('the next QEMU finds nothing of the last one', options, async (t) => {
  const { paths, seals } = await running(t);
  symlinkSync('/dev/null', paths.vnc);
  await openRunDirectory(paths, user);
  assert.equal(await seals(), false, 'its sockets are not there yet');
});
