/**
 * qemu-img and a hostile file: what it could reach if the file had broken it, and what it really opened, told by the kernel
 * (strace, where the machine has it). Needs qemu-img and root.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
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
import type { ImageFormat } from '../../contract/host/index.ts';
import { commandLineOf } from '../../engine/process-identity.ts';
import { inspectImage } from '../../host/image/format.ts';
import { bytesOfBuffer } from '../../host/image/formats/bytes.ts';
import { ovf, signed, tar } from '../../host/image/formats/testing.ts';
import { convertCommand, infoCommand, qemuImgConverter, qemuImgInspector } from '../../host/image/inspect.ts';
import { qcow2Image } from '../../host/image/testing.ts';
import { runWalledIn } from '../../host/image/walls.ts';
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
  return { path, secret, directory };
}

const disk = { driver: 'qcow2', offset: 0, sizeBytes: 0 } as const;
const walled = (path: string, command = ['qemu-img', 'info', '-f', 'qcow2', '--output=json', '/image']) =>
  runWalledIn(command, { path, user });

test('qemu-img takes a good image behind its walls, and knows it for what it is', { skip }, async (t) => {
  const { path } = upload(t, qcow2Image(2 ** 30));
  const inspect = qemuImgInspector(user);
  await inspect({ path, disk, virtualSizeBytes: 2 ** 30 });
  await assert.rejects(inspect({ path, disk, virtualSizeBytes: 2 ** 20 }), /ambiguous/);
  const began = performance.now();
  await inspect({ path, disk, virtualSizeBytes: 2 ** 30 });
  t.diagnostic(`an inspection takes ${Math.round(performance.now() - began)} ms`);
});

/** Some of it empty, and its last sector behind the last whole cylinder. */
function contents(): Buffer {
  const bytes = Buffer.alloc(9 * 1024 * 1024 + 512 * 5);
  for (let at = 0; at < bytes.length; at += 3 * 1024 * 1024) randomFillSync(bytes, at, 512);
  bytes.write('the last sector', bytes.length - 512);
  return bytes;
}

/** As Debian's tools write it. */
function made(t: TestContext, bytes: Buffer, format: string, options?: string): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-made-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'in'), bytes);
  const more = options ? ['-o', options] : [];
  execFileSync('qemu-img', [
    'convert',
    '-f',
    'raw',
    '-O',
    format,
    ...more,
    join(directory, 'in'),
    join(directory, 'out'),
  ]);
  return readFileSync(join(directory, 'out'));
}

/** A VHD of a program that QEMU does not know: its footers say so. */
function of(creator: string, vhd: Buffer): Buffer {
  for (const at of [0, vhd.length - 512]) {
    if (vhd.subarray(at, at + 8).toString() !== 'conectix') continue;
    vhd.write(creator, at + 28, 'latin1');
    signed(vhd.subarray(at, at + 512));
  }
  return vhd;
}

/** What a guest would read. */
async function unpacked(t: TestContext, format: ImageFormat, file: Buffer): Promise<Buffer> {
  const { virtualSizeBytes, disk } = await inspectImage(format, bytesOfBuffer(file), { maxVirtualBytes: 2 ** 40 });
  const { path, directory } = upload(t, file);
  const untrusted = { path, disk: disk!, virtualSizeBytes: virtualSizeBytes! };
  await qemuImgInspector(user)(untrusted);
  const to = join(directory, 'unpacked');
  writeFileSync(to, '', { mode: 0o600 });
  await qemuImgConverter(user)(untrusted, to, new AbortController().signal);
  if (existsSync('/usr/bin/strace')) {
    const walls = { path, user, output: { path: to, maxBytes: 2 ** 30 } };
    const traced = [
      await opened(infoCommand(untrusted, user), { path, user }),
      await opened(convertCommand(untrusted, to, user), walls),
    ].flat();
    assert.deepEqual([...new Set(traced)].sort(), ['/disk', '/image'], 'its own files are all that it opened');
  }
  return readFileSync(to);
}

/** What the command opens behind the walls, less libraries and what the kernel tells of its own process. */
async function opened(command: string[], walls: Parameters<typeof runWalledIn>[1]): Promise<string[]> {
  const trace = ['strace', '-f', '-e', 'trace=open,openat,openat2,creat'];
  const { stderr } = await runWalledIn([...trace, ...command], walls);
  const names = [...stderr.matchAll(/(?:open\w*|creat)\((?:AT_FDCWD, )?"([^"]*)"[^\n]*= \d+/g)].map(
    (match) => match[1]!,
  );
  assert.ok(names.includes('/image'), stderr.slice(-500));
  return names.filter((name) => !/^\/(usr|lib)/.test(name));
}

test('a disk of every format is unpacked behind the walls, to its last sector', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const bytes = contents();
  const streamed = made(t, bytes, 'vmdk', 'subformat=streamOptimized');
  const files: [string, ImageFormat, Buffer][] = [
    ['qcow2', 'qcow2', made(t, bytes, 'qcow2')],
    ['sparse vmdk', 'vmdk', made(t, bytes, 'vmdk')],
    ['streamed vmdk', 'vmdk', streamed],
    ['vdi', 'vdi', made(t, bytes, 'vdi')],
    ['vhdx', 'vhdx', made(t, bytes, 'vhdx')],
    ['ploop', 'ploop', made(t, bytes, 'parallels')],
    ['fixed vhd', 'vhd', made(t, bytes, 'vpc', 'subformat=fixed,force_size=on')],
    ['dynamic vhd', 'vhd', made(t, bytes, 'vpc', 'force_size=on')],
    ['dynamic vhd of VirtualBox', 'vhd', of('vbox', made(t, bytes, 'vpc', 'force_size=on'))],
    ['fixed vhd of VirtualBox', 'vhd', of('vbox', made(t, bytes, 'vpc', 'subformat=fixed,force_size=on'))],
    ['appliance', 'ova', tar({ 'x.ovf': ovf('x-disk1.vmdk'), 'x.mf': 'x', 'x-disk1.vmdk': streamed })],
    ['appliance with a qcow2', 'ova', tar({ 'x.ovf': ovf('d'), d: made(t, bytes, 'qcow2') })],
  ];
  for (const [name, format, file] of files) {
    await t.test(name, async (t) => {
      const result = await unpacked(t, format, file);
      assert.ok(result.subarray(0, bytes.length).equals(bytes), `${result.length} of ${bytes.length} bytes`);
      assert.ok(result.subarray(bytes.length).every((byte) => byte === 0));
    });
  }
});

test('what does not fit is not unpacked, and what is given up leaves nobody at work', { skip }, async (t) => {
  const { path, directory } = upload(t, qcow2Image(2 ** 50));
  const to = join(directory, 'unpacked');
  writeFileSync(to, '');
  const convert = qemuImgConverter(user);
  const { signal } = new AbortController();
  await assert.rejects(convert({ path, disk, virtualSizeBytes: 2 ** 50 }, to, signal), { code: 'no_capacity' });
  const stop = new AbortController();
  const duration = `3600.${process.pid}1`;
  const running = runWalledIn(['sleep', duration], { path, user, timeoutMs: 3_600_000, signal: stop.signal });
  const alive = () =>
    readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLineOf(Number(pid)).includes(duration));
  await until('it to run', () => alive().length > 0);
  stop.abort();
  assert.ok((await running).failed);
  await until('it to be gone', () => alive().length === 0);
});

test('a file that names others makes qemu-img open none of them', { skip }, async (t) => {
  // Our own reader refuses it; if it did not, this is what would be left.
  const { path, secret } = upload(t, Buffer.alloc(0));
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-u', '-b', secret, '-F', 'raw', path, '1M']);
  const { stdout } = await walled(path);
  assert.equal(JSON.parse(stdout)['full-backing-filename'], secret);
  if (!existsSync('/usr/bin/strace')) return t.skip('needs strace');
  const description = (line: string) =>
    Buffer.from(`# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n${line}\n`);
  for (const line of [`RW 1 FLAT "${secret}" 0`, 'RW 1 FLAT "/etc/shadow" 0', 'RW 1 FLAT "nbd://127.0.0.1:1/x" 0']) {
    const named = upload(t, description(line));
    const command = ['qemu-img', 'info', '-f', 'vmdk', '/image'];
    assert.ok((await runWalledIn(command, { path: named.path, user })).failed, line);
    assert.deepEqual([...new Set(await opened(command, { path: named.path, user }))], ['/image'], line);
  }
  const files = await opened(['qemu-img', 'info', '-f', 'qcow2', '/image'], { path, user });
  assert.deepEqual([...new Set(files)], ['/image'], 'its own libraries and the image are all that it opened');
});

test('behind the walls there are no other files, no network, no processes and nothing to write to', {
  skip,
}, async (t) => {
  const { path, secret } = upload(t, qcow2Image(2 ** 20));
  const behind = async (script: string) => {
    const result = await walled(path, ['sh', '-c', script]);
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
  const { failed } = await runWalledIn(command, { path, user, timeoutMs: 1000 });
  assert.ok(failed);
  const alive = () =>
    readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLineOf(Number(pid)).includes(duration));
  await until('all of it to be gone', () => alive().length === 0);
});

const here = (name: string) => name === '/image' || existsSync(name);
