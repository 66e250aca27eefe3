import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import type { Execute } from '../../protocols/qmp/index.ts';
import { sinkJob, sinkJobOf, streamJob } from './jobs.ts';
import { layerNode, throttleNode } from './names.ts';

const streaming = {
  ...{ volumeId: newId<VolumeId>(), layerId: newOrderedId<LayerId>() },
  onto: { kind: 'layer' as const, id: newOrderedId<LayerId>() },
};
const jobId = `stream-${layerNode(streaming.volumeId, streaming.layerId)}`;

type State = { status: string; 'io-status'?: string };

/** A QEMU whose job is in the next of these states at each look, and then gone. */
function qemu(states: State[], { running = false } = {}) {
  const commands: [string, Record<string, unknown> | undefined][] = [];
  let begun = running;
  const execute = (async (command: string, args?: Record<string, unknown>) => {
    if (command === 'block-stream') begun = true;
    if (command !== 'query-block-jobs') commands.push([command, args]);
    else {
      const state = begun ? states.shift() : undefined;
      return state ? [{ device: jobId, offset: 1, len: 2, 'io-status': 'ok', ...state }] : [];
    }
    return command === 'human-monitor-command' ? '\r\n' : {};
  }) as Execute;
  return { execute, commands, names: () => commands.map(([command]) => command) };
}

const work = (signal = new AbortController().signal) => ({ signal, progress: () => {} });

test('a job is begun, flushed before its end, which writes the name of what is below, and ends by itself', async () => {
  const { execute, commands } = qemu(['running', 'running', 'pending', 'running'].map((status) => ({ status })));
  await streamJob(execute, streaming, work());
  const [begun, flushed, finalized, ...more] = commands;
  assert.deepEqual(begun, [
    'block-stream',
    {
      ...{ 'job-id': jobId, device: layerNode(streaming.volumeId, streaming.layerId) },
      ...{ 'auto-finalize': false, 'auto-dismiss': true, 'on-error': 'stop' },
      'base-node': layerNode(streaming.volumeId, streaming.onto.id),
      'backing-file': `layer:${streaming.onto.id}`,
    },
  ]);
  const node = layerNode(streaming.volumeId, streaming.layerId);
  assert.deepEqual(flushed, ['human-monitor-command', { 'command-line': `qemu-io ${node} flush` }]);
  assert.deepEqual(finalized, ['job-finalize', { id: jobId }]);
  assert.deepEqual(more, []);
});

test('one that an earlier life of this process began is watched, not begun again', async () => {
  const { execute, names } = qemu([{ status: 'running' }, { status: 'pending' }], { running: true });
  await streamJob(execute, streaming, work());
  assert.deepEqual(names(), ['human-monitor-command', 'job-finalize']);
});

test('one that stops at an error says which, and leaves no job behind', async () => {
  const stopped = (why: string) => qemu([{ status: 'running' }, { status: 'paused', 'io-status': why }]);
  const broken = stopped('failed');
  await assert.rejects(streamJob(broken.execute, streaming, work()), { code: 'job_failed', message: /output error/ });
  assert.deepEqual(broken.names(), ['block-stream', 'job-cancel']);
  const full = stopped('nospace');
  await assert.rejects(streamJob(full.execute, streaming, work()), { code: 'no_capacity' });
});

test('one that is gone before it was told to end has failed', async () => {
  const { execute } = qemu([{ status: 'running' }]);
  await assert.rejects(streamJob(execute, streaming, work()), { code: 'job_lost' });
});

test('one that nobody wants any more is cancelled once, and its end is waited for', async () => {
  const { execute, names } = qemu([{ status: 'running' }, { status: 'running' }, { status: 'aborting' }]);
  await assert.rejects(streamJob(execute, streaming, work(AbortSignal.abort(new Error('superseded')))), /superseded/);
  assert.deepEqual(names(), ['block-stream', 'job-cancel']);
});

test('one that is given up and has ended since it was looked at is no failure of its own', async () => {
  const { execute } = qemu([{ status: 'running' }], { running: true });
  const late: Execute = async (command, args) => {
    if (command === 'job-cancel') throw new Error('Job not found');
    return execute(command, args);
  };
  await assert.rejects(streamJob(late, streaming, work(AbortSignal.abort(new Error('superseded')))), /superseded/);
});

test('a base whose limit came under its guest is opened to write for a sink, and to read before a file says that it sank', async () => {
  const volumeId = newId<VolumeId>();
  const [top, generation, onto] = [1, 2, 3].map(() => newOrderedId<LayerId>()) as [LayerId, LayerId, LayerId];
  const [limit, job] = [throttleNode(volumeId, onto), sinkJobOf(volumeId, top)];
  const nodes = [limit, ...[top, generation, onto].map((id) => layerNode(volumeId, id))];
  const states = ['running', 'pending', 'concluded'];
  const commands: string[] = [];
  const execute = (async (command: string, args: Record<string, unknown> = {}) => {
    if (command === 'query-named-block-nodes')
      return nodes.map((name) => ({ 'node-name': name, ro: name !== nodes[1], cache: { direct: false } }));
    if (command === 'query-block-jobs')
      return commands.includes('block-commit')
        ? [{ device: job, offset: 1, len: 2, 'io-status': 'ok', status: states.shift() }]
        : [];
    const [node] = (args.options ?? []) as Record<string, unknown>[];
    commands.push(node ? `${node['node-name']} ${node['read-only'] ? 'ro' : 'rw'} on ${node.backing}` : command);
    return {};
  }) as Execute;
  const base = { base: null };
  await sinkJob(execute, { volumeId, top, layerId: top, sunk: [generation], onto, base, isBase: true }, work());
  const own = layerNode(volumeId, onto);
  assert.deepEqual(commands, [
    ...[`${own} rw on null`, 'block-commit', 'job-cancel', 'job-dismiss', `${own} ro on null`],
    ...['change-backing-file', `${layerNode(volumeId, top)} rw on ${own}`, 'blockdev-del', 'blockdev-del'],
  ]);
});
