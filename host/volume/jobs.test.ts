import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { streamJob } from './jobs.ts';
import { layerNode } from './names.ts';
import type { Execute } from './nodes.ts';

const streaming = {
  ...{ volumeId: newId<VolumeId>(), layerId: newOrderedId<LayerId>() },
  onto: { kind: 'layer' as const, id: newOrderedId<LayerId>() },
};
const jobId = `stream-${layerNode(streaming.volumeId, streaming.layerId)}`;

/** A QEMU whose job is in the next of these states at each look. */
function qemu(states: { status: string; error?: string }[], { running = false } = {}) {
  const commands: [string, Record<string, unknown> | undefined][] = [];
  let begun = running;
  const execute = (async (command: string, args?: Record<string, unknown>) => {
    if (command === 'block-stream') begun = true;
    if (command !== 'query-jobs') commands.push([command, args]);
    else if (begun) {
      const state = states.length > 1 ? states.shift()! : states[0]!;
      return [{ id: jobId, 'current-progress': 1, 'total-progress': 2, ...state }];
    } else return [];
    return command === 'human-monitor-command' ? '\r\n' : {};
  }) as Execute;
  return { execute, commands };
}

const work = (signal = new AbortController().signal) => ({ signal, progress: () => {} });

test('a job is begun, flushed before its end, which writes the name of what is below, and dismissed', async () => {
  const states = ['running', 'running', 'pending', 'running', 'concluded'].map((status) => ({ status }));
  const { execute, commands } = qemu(states);
  await streamJob(execute, streaming, work());
  const [begun, flushed, finalized, ended] = commands;
  assert.deepEqual(begun, [
    'block-stream',
    {
      ...{ 'job-id': jobId, device: layerNode(streaming.volumeId, streaming.layerId) },
      ...{ 'auto-finalize': false, 'auto-dismiss': false },
      'base-node': layerNode(streaming.volumeId, streaming.onto.id),
      'backing-file': `layer:${streaming.onto.id}`,
    },
  ]);
  const node = layerNode(streaming.volumeId, streaming.layerId);
  assert.deepEqual(flushed, ['human-monitor-command', { 'command-line': `qemu-io ${node} flush` }]);
  assert.deepEqual(finalized, ['job-finalize', { id: jobId }]);
  assert.deepEqual(ended, ['job-dismiss', { id: jobId }]);
});

test('one that an earlier life of this process began is watched, not begun again', async () => {
  const { execute, commands } = qemu([{ status: 'running' }, { status: 'concluded' }], { running: true });
  await streamJob(execute, streaming, work());
  assert.deepEqual(
    commands.map(([command]) => command),
    ['job-dismiss'],
  );
});

test('one that failed says why, and leaves no job behind', async () => {
  const { execute, commands } = qemu([{ status: 'running' }, { status: 'concluded', error: 'Input/output error' }]);
  await assert.rejects(streamJob(execute, streaming, work()), { code: 'job_failed', message: /Input\/output error/ });
  assert.equal(commands.at(-1)![0], 'job-dismiss');
  const full = qemu([{ status: 'concluded', error: 'No space left on device' }]);
  await assert.rejects(streamJob(full.execute, streaming, work()), { code: 'no_capacity' });
});

test('one that nobody wants any more is cancelled once, and its end is waited for', async () => {
  const stop = new AbortController();
  stop.abort(new Error('superseded'));
  const { execute, commands } = qemu([
    { status: 'running' },
    { status: 'running' },
    { status: 'aborting' },
    { status: 'concluded', error: 'cancelled' },
  ]);
  await assert.rejects(streamJob(execute, streaming, work(stop.signal)), /superseded/);
  assert.deepEqual(
    commands.map(([command]) => command),
    ['block-stream', 'job-cancel', 'job-dismiss'],
  );
});

test('one that is given up and has ended since it was looked at leaves no job behind', async () => {
  const { execute, commands } = qemu([{ status: 'running' }, { status: 'concluded' }], { running: true });
  const late: Execute = async (command, args) => {
    if (command === 'job-cancel') throw new Error("Job in state 'concluded' cannot accept command verb 'cancel'");
    return execute(command, args);
  };
  await assert.rejects(streamJob(late, streaming, work(AbortSignal.abort(new Error('superseded')))), /superseded/);
  assert.deepEqual(commands.at(-1), ['job-dismiss', { id: jobId }]);
});
