/**
 * qemu-img and a hostile file: what it could reach if the file had broken it, and what it really opened, told by the kernel
 * (strace, where the machine has it). Needs qemu-img and root.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { commandLineOf } from '../../engine/process-identity.ts';
import { qemuImgInspector, runWalledIn } from '../../host/image/inspect.ts';
import { qcow2Image } from '../../host/image/testing.ts';
import { until } from '../support/until.ts';

const skip = process.getuid?.() !== 0 || !existsSync('/usr/bin/qemu-img');
const group = 64055;
const user = { uid: 0x6ffd_0000, gid: 0x6ffd_0000, groups: [group] };

/** A file as an upload leaves it, and beside it a secret of the same group. */
function upload(t: TestContext, contents: Buffer) {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-inspect-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'image');
  const secret = join(directory, 'secret');
  for (const file of [path, secret]) {
    writeFileSync(file, file === path ? contents : 'the other tenant’s');
    chownSync(file, 0, group);
    chmodSync(file, 0o440);
  }
  chmodSync(directory, 0o755);
  return { path, secret };
}

test('qemu-img takes a good image behind its walls, and knows it for what it is', { skip }, async (t) => {
  const { path } = upload(t, qcow2Image(2 ** 30));
  const inspect = qemuImgInspector({ user });
  await inspect({ path, virtualSizeBytes: 2 ** 30 });
  await assert.rejects(inspect({ path, virtualSizeBytes: 2 ** 20 }), /ambiguous/);
  const began = performance.now();
  await inspect({ path, virtualSizeBytes: 2 ** 30 });
  t.diagnostic(`an inspection takes ${Math.round(performance.now() - began)} ms`);
});

test('a file that names others makes qemu-img open none of them', { skip }, async (t) => {
  // Our own reader refuses it; if it did not, this is what would be left.
  const { path, secret } = upload(t, Buffer.alloc(0));
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-u', '-b', secret, '-F', 'raw', path, '1M']);
  const { stdout } = await runWalledIn(path, { user });
  assert.equal(JSON.parse(stdout)['full-backing-filename'], secret);
  if (!existsSync('/usr/bin/strace')) return t.skip('needs strace');
  const command = ['strace', '-f', '-e', 'trace=open,openat,openat2', 'qemu-img', 'info', '-f', 'qcow2'];
  const traced = await runWalledIn(path, { user, command });
  const opened = [...traced.stderr.matchAll(/open\w*\((?:AT_FDCWD, )?"([^"]*)"[^\n]*= \d+/g)].map((match) => match[1]!);
  assert.ok(opened.includes('/image'), traced.stderr.slice(-500));
  assert.deepEqual(
    opened.filter((name) => name !== '/image' && !/^\/(usr|lib)/.test(name)),
    [],
    'its own libraries and the image are all that it opened',
  );
});

test('behind the walls there are no other files, no network, no processes and nothing to write to', {
  skip,
}, async (t) => {
  const { path, secret } = upload(t, qcow2Image(2 ** 20));
  const behind = async (script: string) => {
    const result = await runWalledIn(path, { user, command: ['sh', '-c', script] });
    return (result.stdout + result.stderr).trim();
  };
  assert.equal(await behind('echo /*'), '/bin /image /lib /lib32 /lib64 /sbin /usr'.split(' ').filter(here).join(' '));
  assert.match(await behind(`cat ${secret}`), /No such file/);
  for (const place of ['/x', '/usr/x', '/image'])
    assert.match(await behind(`: > ${place}`), /denied|Read-only|cannot create/);
  assert.match(await behind('qemu-img info nbd://127.0.0.1:1/x'), /Network is unreachable/);
  assert.match(await behind(`kill -0 ${process.pid}`), /No such process/);
  assert.ok(readFileSync(path).equals(qcow2Image(2 ** 20)));
});

test('who takes too long behind the walls is ended, with all that it began', { skip, timeout: 20_000 }, async (t) => {
  const { path } = upload(t, qcow2Image(2 ** 20));
  const duration = `3600.${process.pid}`;
  const command = ['sh', '-c', `sleep ${duration} & sleep ${duration}; exit`];
  const { failed } = await runWalledIn(path, { user, command, timeoutMs: 1000 });
  assert.ok(failed);
  const alive = () =>
    readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLineOf(Number(pid)).includes(duration));
  await until('all of it to be gone', () => alive().length === 0);
});

const here = (name: string) => name === '/image' || existsSync(name);
