/**
 * Block jobs of a real QEMU (its storage daemon: the same block layer) while others ask it for all it has, as the tasks of a host do of one that
 * a guest runs in. It answers each of them, however the job ends.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { streamJob } from '../../host/volume/jobs.ts';
import { layerNode } from '../../host/volume/names.ts';
import { type Execute, nodesOf } from '../../host/volume/nodes.ts';
import { QmpClient } from '../../protocols/qmp/index.ts';
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

/** A layer on another; each command is followed by a question for the nodes, before anybody hears of its answer. */
async function chain(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-jobs-'));
  const path = (name: string) => join(directory, name);
  for (const name of ['lower', 'upper']) execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path(name), '32M']);
  execFileSync('qemu-io', ['-c', 'write -P 1 0 8M', path('lower')]);
  const monitor = ['--chardev', `socket,id=m,path=${path('qmp')},server=on,wait=off`, '--monitor', 'chardev=m'];
  const daemon = spawn('qemu-storage-daemon', monitor, { stdio: 'ignore' });
  const ended = once(daemon, 'close');
  await until('its monitor', () => existsSync(path('qmp')));
  const qmp = await QmpClient.connect({ path: path('qmp') });
  t.after(async () => {
    qmp.close();
    daemon.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true });
  });
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
