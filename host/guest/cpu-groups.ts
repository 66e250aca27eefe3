/**
 * How much of the machine's processors a guest may have, by the kernel's control groups: a group for each guest, all in one of this
 * cloud's at the top of the hierarchy, so that their shares are measured against each other (cgroup v1: controller `cpu`, v2: `cpu`).
 * Together they weigh as much as one process on each processor: what else the machine does, control and the host process among it, is
 * not starved by many guests.
 *
 * Owns the directories `bothy-<tag>` and below. They are the kernel's: they outlive this process as QEMU does, and go with a reboot.
 * A group is entered before its guest counts as running, so a death in between is repeated; it goes with its QEMU, at the latest with
 * the server. Entering and leaving are done at once each (no other guest's comes between), for the parent goes with its last child.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { GuestHardware } from '../../contract/host/index.ts';
import type { ServerId } from '../../contract/ids.ts';

export interface CpuGroupMember {
  id: ServerId;
  pid: number;
  vcpus: number;
  limits: GuestHardware['cpuLimits'];
}

/** Where the controller is, and which of the two interfaces it has. */
export interface CpuHierarchy {
  version: 1 | 2;
  directory: string;
}

/** What a guest weighs of whose shares nobody said anything (both interfaces' own default). */
const usualShares = 1024;
const usualWeight = 100;
const periodUs = 100_000;

export class CpuGroups {
  readonly #hierarchy: CpuHierarchy;
  readonly #parent: string;

  constructor({ hierarchy, tag }: { hierarchy: CpuHierarchy; tag: string }) {
    this.#hierarchy = hierarchy;
    this.#parent = parentOf(hierarchy, tag);
  }

  /** Safe to repeat; what the group limited before it limits no more. @throws where the kernel does not take it */
  enter({ id, pid, vcpus, limits }: CpuGroupMember): void {
    const group = this.#make(id);
    for (const [name, value] of this.#values(vcpus, limits)) writeFileSync(join(group, name), value);
    writeFileSync(join(group, 'cgroup.procs'), String(pid));
  }

  /** The group of a guest whose processes have ended; safe to repeat. @throws while one of them is there */
  leave(id: ServerId): void {
    removeGroup(join(this.#parent, id));
    removeGroup(this.#parent, 'EBUSY', 'ENOTEMPTY');
  }

  /** @throws where the kernel does not let us make a group, or limit it */
  probe(): void {
    const group = this.#make('probe');
    const limits = { quotaUs: periodUs, shares: usualShares };
    for (const [name, value] of this.#values(1, limits)) writeFileSync(join(group, name), value);
    removeGroup(group);
    removeGroup(this.#parent, 'EBUSY', 'ENOTEMPTY');
  }

  #values(vcpus: number, limits: GuestHardware['cpuLimits']): [string, string][] {
    return this.#hierarchy.version === 1 ? valuesOfV1(vcpus, limits) : valuesOfV2(vcpus, limits);
  }

  #make(name: string): string {
    const { version, directory } = this.#hierarchy;
    if (version === 2) writeFileSync(join(directory, 'cgroup.subtree_control'), '+cpu');
    makeGroup(this.#parent);
    const cpus = availableParallelism();
    if (version === 1) writeFileSync(join(this.#parent, 'cpu.shares'), String(Math.min(usualShares * cpus, 2 ** 18)));
    else {
      writeFileSync(join(this.#parent, 'cpu.weight'), String(Math.min(usualWeight * cpus, 10_000)));
      writeFileSync(join(this.#parent, 'cgroup.subtree_control'), '+cpu');
    }
    const group = join(this.#parent, name);
    makeGroup(group);
    return group;
  }
}

/** All processors of a server together: what each may have, times their number. */
function bandwidth(vcpus: number, limits: GuestHardware['cpuLimits']): { quota: number; period: number } | undefined {
  const { quotaUs, periodUs: period = periodUs } = limits ?? {};
  return quotaUs === undefined ? undefined : { quota: quotaUs * vcpus, period };
}

function valuesOfV1(vcpus: number, limits: GuestHardware['cpuLimits']): [string, string][] {
  const most = bandwidth(vcpus, limits);
  return [
    ['cpu.shares', String(limits?.shares ?? usualShares)],
    // The kernel judges each by the other: without a quota it takes any period.
    ['cpu.cfs_quota_us', '-1'],
    ['cpu.cfs_period_us', String(most?.period ?? periodUs)],
    ...(most ? [['cpu.cfs_quota_us', String(most.quota)] as [string, string]] : []),
  ];
}

function valuesOfV2(vcpus: number, limits: GuestHardware['cpuLimits']): [string, string][] {
  const most = bandwidth(vcpus, limits);
  return [
    ['cpu.weight', String(limits?.shares === undefined ? usualWeight : weightOf(limits.shares))],
    ['cpu.max', `${most?.quota ?? 'max'} ${most?.period ?? periodUs}`],
  ];
}

/** 1024 shares weigh as much as a guest of which nothing was said. */
const weightOf = (shares: number): number =>
  Math.min(Math.max(Math.round((shares * usualWeight) / usualShares), 1), 10_000);

/** By a group that is made and removed. Undefined: this machine gives no say over its processors. */
export function openCpuGroups(
  tag: string,
  hierarchy: CpuHierarchy | undefined = findHierarchy(readFileSync('/proc/self/mountinfo', 'utf8')),
): CpuGroups | undefined {
  if (!hierarchy) return undefined;
  const groups = new CpuGroups({ hierarchy, tag });
  try {
    groups.probe();
    return groups;
  } catch {
    return undefined;
  }
}

/** Of the first version that has the controller. @param mounts as in /proc/self/mountinfo (proc(5)) */
export function findHierarchy(mounts: string): CpuHierarchy | undefined {
  const lines = mounts.split('\n').map((line) => line.split(' - '));
  for (const [before = '', after = ''] of lines) {
    const directory = before.split(' ')[4]!;
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup' && options.split(',').includes('cpu')) return { version: 1, directory };
    if (type === 'cgroup2' && hasController(directory)) return { version: 2, directory };
  }
  return undefined;
}

function hasController(directory: string): boolean {
  try {
    return readFileSync(join(directory, 'cgroup.controllers'), 'utf8').trim().split(' ').includes('cpu');
  } catch {
    return false;
  }
}

/** Of a cloud whose guests have ended; safe to repeat. */
export function purgeCpuGroups(tag: string): void {
  const hierarchy = findHierarchy(readFileSync('/proc/self/mountinfo', 'utf8'));
  if (!hierarchy) return;
  const parent = parentOf(hierarchy, tag);
  if (!existsSync(parent)) return;
  for (const { name } of readdirSync(parent, { withFileTypes: true }).filter((entry) => entry.isDirectory()))
    removeGroup(join(parent, name));
  removeGroup(parent);
}

const parentOf = ({ directory }: CpuHierarchy, tag: string): string => join(directory, `bothy-${tag}`);

/** Not `recursive`: where a kernel's own file system says that there is no such directory, Node.js 24 tries for ever. */
function makeGroup(directory: string): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function removeGroup(directory: string, ...allowed: string[]): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && !allowed.includes(code)) throw error;
  }
}
