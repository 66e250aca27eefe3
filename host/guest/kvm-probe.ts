/**
 * Whether KVM really runs guests on this machine. A /dev/kvm that opens proves nothing: nested and paravirtual hosts offer
 * some under which guests hang, crawl or die. So a guest is booted under it, as guests are (same machine, same processor,
 * same user), that does what a kernel does first: long mode, paging, work in memory; and must end in time.
 *
 * The emulator needs a third of a second for it, real KVM less. The verdict is kept for this boot and this QEMU.
 */
import { spawn } from 'node:child_process';
import { chmod, chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere, writeWhole } from '../files.ts';
import { asGuestUser } from './launcher.ts';
import { probeDisk, probeDone } from './probe-guest.ts';
import type { GuestUser } from './users.ts';

export interface AcceleratorVerdict {
  accelerator: 'kvm' | 'tcg';
  /** Why not KVM; empty when it is. */
  reason: string;
}

export interface ProbeOptions {
  wish: 'auto' | 'kvm' | 'tcg';
  user: GuestUser | undefined;
  /** For the verdict. */
  cacheFile: string;
  runDirectory: string;
  bootId: string;
  qemuVersion: string;
  timeoutMs?: number;
  device?: string;
}

export async function chooseAccelerator(options: ProbeOptions): Promise<AcceleratorVerdict> {
  if (options.wish === 'tcg') return { accelerator: 'tcg', reason: 'the settings ask for it' };
  const key = `${options.bootId} ${options.qemuVersion} ${options.user?.uid ?? 'self'}`;
  const cached = readVerdict(await readIfThere(options.cacheFile), key);
  const verdict = cached ?? (await probe(options));
  if (!cached) await writeWhole(options.cacheFile, JSON.stringify({ key, verdict }));
  if (options.wish === 'kvm' && verdict.accelerator !== 'kvm') {
    return { ...verdict, reason: `the settings ask for KVM, but: ${verdict.reason}` };
  }
  return verdict;
}

function readVerdict(bytes: Buffer | undefined, key: string): AcceleratorVerdict | undefined {
  try {
    const saved = JSON.parse(String(bytes)) as { key: string; verdict: AcceleratorVerdict };
    return saved.key === key && (saved.verdict.accelerator === 'kvm' || saved.verdict.accelerator === 'tcg')
      ? saved.verdict
      : undefined;
  } catch {
    return undefined;
  }
}

async function probe(options: ProbeOptions): Promise<AcceleratorVerdict> {
  const device = options.device ?? '/dev/kvm';
  const found = await stat(device).catch(() => undefined);
  if (!found) return { accelerator: 'tcg', reason: `this machine has no ${device}` };
  const directory = await mkdtemp(join(options.runDirectory, 'probe-'));
  try {
    return await boot(directory, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function boot(directory: string, { user, timeoutMs = 5000 }: ProbeOptions): Promise<AcceleratorVerdict> {
  const disk = join(directory, 'disk');
  const serial = join(directory, 'serial');
  for (const [path, contents] of [
    [disk, probeDisk()],
    [serial, ''],
  ] as const) {
    await writeFile(path, contents);
    if (user) await chown(path, user.uid, user.gid);
  }
  await chmod(directory, 0o711);
  const args = [
    ...[
      '-no-user-config',
      '-nodefaults',
      '-display',
      'none',
      '-machine',
      'q35,hpet=off',
      '-accel',
      'kvm',
      '-cpu',
      'host',
    ],
    ...['-m', '64M', '-device', 'isa-debug-exit,iobase=0x501,iosize=1'],
    ...['-chardev', `file,id=serial,path=${serial},append=on`, '-serial', 'chardev:serial'],
    ...[
      '-blockdev',
      JSON.stringify({
        driver: 'raw',
        'node-name': 'disk',
        'read-only': true,
        file: { driver: 'file', filename: disk },
      }),
    ],
    ...['-device', 'virtio-blk-pci,drive=disk,bootindex=0'],
  ];
  const started = performance.now();
  const { said, inTime } = await runQemu(user, args, timeoutMs);
  const output = await readFile(serial, 'utf8').catch(() => '');
  if (output.includes(probeDone)) return { accelerator: 'kvm', reason: '' };
  const tookMs = Math.round(performance.now() - started);
  if (!inTime) return { accelerator: 'tcg', reason: `a probe guest under KVM did not finish within ${timeoutMs} ms` };
  return {
    accelerator: 'tcg',
    reason: `a probe guest under KVM ended after ${tookMs} ms: ${said || 'QEMU did not say why'}`,
  };
}

/** Ends when QEMU has; the guest ends its machine itself. */
function runQemu(user: GuestUser | undefined, args: string[], timeoutMs: number) {
  const [command, all] = asGuestUser(user, 'qemu-system-x86_64', args);
  return new Promise<{ said: string; inTime: boolean }>((resolve) => {
    const child = spawn(command, all, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' });
    let said = '';
    let inTime = true;
    child.stderr.on('data', (chunk: Buffer) => {
      if (said.length < 2000) said += chunk.toString();
    });
    const timer = setTimeout(() => {
      inTime = false;
      child.kill('SIGKILL');
    }, timeoutMs);
    const done = () => {
      clearTimeout(timer);
      const first = said.split('\n').find((line) => !line.includes('warning:')) ?? '';
      resolve({ said: first.replace(/^qemu-system-x86_64: /, '').slice(0, 300), inTime });
    };
    child.once('error', (error) => {
      said ||= error.message;
      done();
    });
    child.once('close', done);
  });
}

/**
 * Lets the guest's user open /dev/kvm. Answers the group that it needs to be in, if any. A device that is root's alone
 * (no udev) is given to the guest's group: nothing else is in it.
 */
export async function openKvmDevice(user: { uid: number; gid: number }, device = '/dev/kvm'): Promise<number[]> {
  const found = await stat(device).catch(() => undefined);
  if (!found || process.getuid?.() !== 0) return [];
  if ((found.mode & 0o006) === 0o006) return [];
  if ((found.mode & 0o060) === 0o060 && found.gid !== 0) return found.gid === user.gid ? [] : [found.gid];
  await chown(device, 0, user.gid);
  await chmod(device, 0o660);
  return [];
}
