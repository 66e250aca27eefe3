/** Facts of this machine, read afresh or asked once. */
import { execFile } from 'node:child_process';
import { readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { HostFacts } from '../contract/host/index.ts';
import { isMachines } from '../protocols/bmc/index.ts';

export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/** @throws where QEMU is not installed */
export async function readQemuVersion(): Promise<string> {
  const { stdout } = await promisify(execFile)('qemu-system-x86_64', ['--version'], { timeout: 10_000 });
  return /version (\d+(?:\.\d+)+)/.exec(stdout)?.[1] ?? 'unknown';
}

/** The versioned q35 machines that it has, the newest first. @throws where QEMU is not installed */
export async function readMachineTypes(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('qemu-system-x86_64', ['-machine', 'help'], { timeout: 10_000 });
  const types = stdout.split('\n').flatMap((line) => /^(pc-q35-[\d.]+)\s/.exec(line)?.[1] ?? []);
  return types.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
}

/** Whether QEMU can use io_uring: it was built with it, and the kernel lets programs. */
export async function probeIoUring(): Promise<boolean> {
  const node = 'driver=raw,file.driver=file,file.filename=/proc/self/exe,file.aio=io_uring,read-only=on';
  try {
    await promisify(execFile)('qemu-img', ['info', '--image-opts', node], { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

type Capacity = Pick<HostFacts, 'architecture' | 'cpus' | 'memoryMiB' | 'diskGiB' | 'bootedAt' | 'machineUuid'>;

/** To the second, and the same each time: the kernel's own word, not what is left of two clocks. */
async function bootedAt(): Promise<Pick<HostFacts, 'bootedAt'>> {
  const seconds = /^btime (\d+)$/m.exec(await readFile('/proc/stat', 'utf8'))?.[1];
  return seconds === undefined ? {} : { bootedAt: new Date(Number(seconds) * 1000).toISOString() };
}

async function machineUuid(): Promise<Pick<HostFacts, 'machineUuid'>> {
  const uuid = machineUuidIn(await readFile('/sys/class/dmi/id/product_uuid', 'latin1').catch(() => ''));
  return uuid === undefined ? {} : { machineUuid: uuid };
}

/** As SMBIOS has it, for root alone. Undefined: it is none, or one that makers give many. */
export function machineUuidIn(text: string): string | undefined {
  const uuid = text.trim().toLowerCase();
  const isOne = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid);
  return isOne && isMachines(uuid.replaceAll('-', '')) ? uuid : undefined;
}

export async function capacity(dataDirectory: string): Promise<Capacity> {
  const files = await statfs(dataDirectory);
  return {
    architecture: { x64: 'x86_64', arm64: 'aarch64' }[arch() as string] ?? arch(),
    cpus: availableParallelism(),
    memoryMiB: Math.floor(totalmem() / 2 ** 20),
    diskGiB: Math.floor((files.blocks * files.bsize) / 2 ** 30),
    ...(await bootedAt()),
    ...(await machineUuid()),
  };
}
