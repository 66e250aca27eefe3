import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ServerId } from '../../contract/ids.ts';
import { CpuGroups, findHierarchy, openCpuGroups } from './cpu-groups.ts';

const id = '01900000-0000-7000-8000-000000000051' as ServerId;

/** Plain files where the kernel has its own. */
function hierarchy(t: TestContext, version: 1 | 2) {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-cpu-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const groups = new CpuGroups({ hierarchy: { version, directory }, tag: 'abcd' });
  const parent = join(directory, 'bothy-abcd');
  const values = (path: string) =>
    Object.fromEntries(
      readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => [name, readFileSync(join(path, name), 'utf8')]),
    );
  return { directory, groups, parent, values };
}

test('a limited guest has what its processors together may have, in the words of both interfaces', (t) => {
  const limits = { shares: 512, quotaUs: 10_000, periodUs: 50_000 };
  const first = hierarchy(t, 1);
  first.groups.enter({ id, pid: 4711, vcpus: 3, limits });
  assert.deepEqual(first.values(join(first.parent, id)), {
    'cpu.shares': '512',
    'cpu.cfs_period_us': '50000',
    'cpu.cfs_quota_us': '30000',
    'cgroup.procs': '4711',
  });
  const second = hierarchy(t, 2);
  second.groups.enter({ id, pid: 4711, vcpus: 3, limits });
  assert.deepEqual(second.values(join(second.parent, id)), {
    'cpu.weight': '50',
    'cpu.max': '30000 50000',
    'cgroup.procs': '4711',
  });
  assert.equal(second.values(second.directory)['cgroup.subtree_control'], '+cpu');
  assert.equal(second.values(second.parent)['cgroup.subtree_control'], '+cpu');
});

test('what limited a guest before limits it no more after a resize', (t) => {
  for (const version of [1, 2] as const) {
    const { groups, parent, values } = hierarchy(t, version);
    groups.enter({ id, pid: 1, vcpus: 1, limits: { shares: 2, quotaUs: 1000, periodUs: 1000 } });
    groups.enter({ id, pid: 2, vcpus: 1, limits: undefined });
    const { 'cgroup.procs': pid, ...now } = values(join(parent, id));
    assert.equal(pid, '2');
    assert.deepEqual(
      now,
      version === 1
        ? { 'cpu.shares': '1024', 'cpu.cfs_period_us': '100000', 'cpu.cfs_quota_us': '-1' }
        : { 'cpu.weight': '100', 'cpu.max': 'max 100000' },
    );
  }
});

test('all guests together weigh as much as one process on each processor', (t) => {
  const { groups, parent, values } = hierarchy(t, 1);
  groups.enter({ id, pid: 1, vcpus: 1, limits: undefined });
  assert.deepEqual(values(parent), { 'cpu.shares': String(1024 * availableParallelism()) });
});

test('a group that is not there is left without a word, and the last one takes the cloud’s along', (t) => {
  const { groups, parent } = hierarchy(t, 1);
  groups.leave(id);
  mkdirSync(join(parent, id), { recursive: true });
  groups.leave(id);
  groups.leave(id);
  assert.equal(existsSync(parent), false);
});

test('the controller is found where it is mounted, alone or with others', (t) => {
  const v1 = '25 24 0:22 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct';
  const other = '26 24 0:23 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset';
  assert.deepEqual(findHierarchy(`${other}\n${v1}\n`), { version: 1, directory: '/sys/fs/cgroup/cpu,cpuacct' });
  assert.equal(findHierarchy(`${other}\n`), undefined);
  const { directory } = hierarchy(t, 2);
  const v2 = `27 24 0:24 / ${directory} rw - cgroup2 cgroup2 rw`;
  writeFileSync(join(directory, 'cgroup.controllers'), 'hugetlb cpuset\n');
  assert.equal(findHierarchy(v2), undefined);
  writeFileSync(join(directory, 'cgroup.controllers'), 'cpuset cpu io memory\n');
  assert.deepEqual(findHierarchy(v2), { version: 2, directory });
});

test('a machine whose kernel lets us make no group has no say', () => {
  assert.equal(openCpuGroups('abcd', { version: 1, directory: '/proc/nowhere' }), undefined);
});
