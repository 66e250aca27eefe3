/**
 * Block jobs of a real QEMU (its storage daemon: the same block layer) while others ask it for all it has, as the tasks of a host do of one that
 * a guest runs in. It answers each of them, however the job ends.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { sinkJob, streamJob } from '../../host/volume/jobs.ts';
import { layerFileNode, layerNode, throttleNode } from '../../host/volume/names.ts';
import { buildOn, nodesOf } from '../../host/volume/nodes.ts';
import { type Execute, QmpClient } from '../../protocols/qmp/index.ts';
import { until } from '../support/until.ts';

const options = { skip: !existsSync('/usr/bin/qemu-storage-daemon'), timeout: 60_000 };
const work = { signal: new AbortController().signal, progress: () => {} };

test('whoever asks for nodes when a layer has taken what it builds on gets an answer', options, async (t) => {
  const { execute, streaming, flush } = await chain(t);
  await streamJob(execute, streaming, work, flush);
  await nodesOf(execute);
});

test('and whoever asks when it could not, for want of room, too; with room it can', options, async (t) => {
  const { execute, streaming, flush, fill } = await chain(t);
  await fill(true);
  await assert.rejects(streamJob(execute, streaming, work, flush), { code: 'no_capacity' });
  await fill(false);
  await streamJob(execute, streaming, work, flush);
});

test('and whoever asks when nobody wants it any more', options, async (t) => {
  const { execute, streaming, flush } = await chain(t);
  const signal = AbortSignal.abort(new Error('superseded'));
  await assert.rejects(streamJob(execute, streaming, { ...work, signal }, flush), /superseded/);
  await nodesOf(execute);
});

/** Of a sink, in their order, those that change something. */
const sinkCommands = [
  ...['blockdev-reopen', 'block-commit', 'job-cancel', 'job-dismiss'],
  ...['blockdev-reopen', 'change-backing-file', 'blockdev-reopen', 'blockdev-del', 'blockdev-del'],
];

test('what a cache holds sinks below the base that its guest writes to, where the limit came under the guest, whoever dies after whichever command', {
  ...options,
  timeout: 120_000,
}, async (t) => {
  for (const [last, command] of sinkCommands.entries()) {
    const { execute, sinking, namedBelow, expected, found } = await cached(t);
    const done: string[] = [];
    const dying: Execute = async (name, args) => {
      const answer = await execute(name, args);
      if (!name.startsWith('query')) done.push(name);
      if (done.length > last) throw new Error('died');
      return answer as never;
    };
    await assert.rejects(sinkJob(dying, sinking, work), /died/, command);
    assert.deepEqual(done, sinkCommands.slice(0, last + 1));
    assert.ok(found().equals(expected), `read after ${command}`);
    const base = layerNode(sinking.volumeId, sinking.onto);
    // Whoever comes next finds in the file whether anything is left to be done.
    const over = namedBelow() === `layer:${sinking.onto}`;
    assert.equal(over, last >= sinkCommands.indexOf('change-backing-file'), command);
    if (!over) await sinkJob(execute, sinking, work);
    assert.equal(namedBelow(), `layer:${sinking.onto}`);
    assert.ok(found().equals(expected), `sunk after ${command}`);
    const nodes = await nodesOf(execute);
    assert.equal(nodes.find((node) => node['node-name'] === base)?.ro, true, command);
    // Three layers and their files; what is left of a death after that goes with the volume.
    if (!over || last === sinkCommands.length - 1) assert.equal(nodes.length, 6, command);
  }
});

/** A volume's own layer, a base on it, a generation on that, and above it the base that its guest writes to; the limit came when all of them ran. */
async function cached(t: TestContext) {
  const { qmp, path } = await daemon(t);
  const execute: Execute = (command, args) => qmp.execute(command, args);
  const volumeId = newId<VolumeId>();
  const ids = Array.from({ length: 4 }, () => newOrderedId<LayerId>());
  const [plain, onto, generation, top] = ids as [LayerId, LayerId, LayerId, LayerId];
  for (const [at, id] of ids.entries()) {
    const on = at > 0 ? ['-u', '-b', `layer:${ids[at - 1]}`, '-F', 'qcow2'] : [];
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...on, path(id), '8M']);
    const open = JSON.stringify({ driver: 'qcow2', file: { driver: 'file', filename: path(id) }, backing: null });
    execFileSync('qemu-io', ['-c', `write -P ${at + 1} ${at}M ${6 - at}M`, `json:${open}`]);
  }
  const spelled = (below: number, named: boolean): object | null => {
    const id = ids[below];
    if (id === undefined) return null;
    // A job that runs lets nobody else read what sinks.
    const more = named ? { 'node-name': layerFileNode(volumeId, id) } : { locking: 'off' };
    const file = { driver: 'file', filename: path(id), ...more };
    const name = named && { 'node-name': layerNode(volumeId, id) };
    return { driver: 'qcow2', ...name, file, backing: spelled(below - 1, named) };
  };
  // Each was the guest's top before the next.
  await execute('blockdev-add', { ...spelled(2, true) });
  await execute('blockdev-add', { ...spelled(3, true), 'read-only': false, backing: layerNode(volumeId, generation) });
  await execute('object-add', { 'qom-type': 'throttle-group', id: 'limit', limits: { 'iops-total': 100 } });
  const [node, limit] = [layerNode(volumeId, onto), throttleNode(volumeId, onto)];
  await execute('blockdev-reopen', {
    options: [
      {
        driver: 'qcow2',
        'node-name': node,
        'read-only': true,
        file: layerFileNode(volumeId, onto),
        backing: layerNode(volumeId, plain),
      },
    ],
  });
  const throttle = { driver: 'throttle', 'node-name': limit, 'throttle-group': 'limit', 'read-only': true, file: node };
  await execute('blockdev-add', throttle);
  const above = { node: layerNode(volumeId, generation), file: layerFileNode(volumeId, generation) };
  await buildOn(execute, { ...above, base: limit });
  const found = () => {
    const to = path('found');
    execFileSync('qemu-img', ['convert', '-U', '-O', 'raw', `json:${JSON.stringify(spelled(3, false))}`, to]);
    return readFileSync(to);
  };
  const namedBelow = (): string =>
    JSON.parse(execFileSync('qemu-img', ['info', '-U', '--output=json', path(top)], { encoding: 'utf8' }))[
      'backing-filename'
    ];
  const base = { base: layerNode(volumeId, plain) };
  const sinking = { volumeId, top, layerId: top, sunk: [generation], onto, base, isBase: true };
  return { execute, sinking, namedBelow, expected: found(), found };
}

async function daemon(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-jobs-'));
  const path = (name: string) => join(directory, name);
  const monitor = ['--chardev', `socket,id=m,path=${path('qmp')},server=on,wait=off`, '--monitor', 'chardev=m'];
  const child = spawn('qemu-storage-daemon', monitor, { stdio: 'ignore' });
  const ended = once(child, 'close');
  await until('its monitor', () => existsSync(path('qmp')));
  const qmp = await QmpClient.connect({ path: path('qmp') });
  t.after(async () => {
    qmp.close();
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true });
  });
  return { qmp, path };
}

/** A layer on another; each command is followed by a question for the nodes, before anybody hears of its answer. */
async function chain(t: TestContext) {
  const { qmp, path } = await daemon(t);
  for (const name of ['lower', 'upper']) execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path(name), '32M']);
  execFileSync('qemu-io', ['-c', 'write -P 1 0 8M', path('lower')]);
  const execute: Execute = async (command, args) => {
    const [answer] = await Promise.all([
      qmp.execute(command, args),
      qmp.execute('query-named-block-nodes', { flat: true }),
    ]);
    return answer as never;
  };
  const streaming = { volumeId: newId<VolumeId>(), layerId: newOrderedId<LayerId>(), onto: null };
  const lower = { driver: 'qcow2', file: { driver: 'file', filename: path('lower') } };
  const node = (full: boolean) => ({
    ...{ driver: 'qcow2', 'node-name': layerNode(streaming.volumeId, streaming.layerId) },
    file: {
      driver: 'blkdebug',
      ...(full && { 'inject-error': [{ event: 'none', iotype: 'write', errno: 28 }] }),
      image: { driver: 'file', filename: path('upper') },
    },
    backing: { ...lower, 'node-name': 'lower' },
  });
  const open = (full: boolean) => qmp.execute('blockdev-add', node(full));
  const fill = async (full: boolean) => {
    await qmp.execute('blockdev-del', { 'node-name': node(full)['node-name'] });
    await open(full);
  };
  await open(false);
  const flush = async () => {};
  return { execute, streaming, flush, fill };
}
