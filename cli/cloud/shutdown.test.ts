import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saysShutdown } from '../supervisor/shutdown-watch.ts';
import type { MaintenanceDocument } from './maintenance.ts';
import { drainFor, shutdownTimes } from './shutdown.ts';

test('guests get their time to power off before any is for moving them away', () => {
  assert.deepEqual(shutdownTimes({ delayMs: 310_000, wantedMs: 300_000 }), {
    drainMs: 265_000,
    guestDeadlineMs: 30_000,
  });
  assert.deepEqual(shutdownTimes({ delayMs: 60_000, wantedMs: 300_000 }), { drainMs: 25_000, guestDeadlineMs: 30_000 });
  assert.deepEqual(shutdownTimes({ delayMs: 5000, wantedMs: 300_000 }), { drainMs: 0, guestDeadlineMs: 0 });
});

const saying = (...states: (MaintenanceDocument['state'] | Error)[]) => {
  const asked: string[] = [];
  return {
    asked,
    beginShutdown: async (boot: string) => void asked.push(boot),
    show: async () => {
      const next = states.length > 1 ? states.shift() : states[0];
      if (next instanceof Error) throw next;
      return { state: next } as MaintenanceDocument;
    },
  };
};
const drain = (host: Parameters<typeof drainFor>[0], more: Partial<Parameters<typeof drainFor>[1]> = {}) =>
  drainFor(host, { drainMs: 60_000, everyMs: 0, calledOff: new AbortController().signal, ...more });

test('it is waited until the machine is empty, asked for once, over a control that is away for a moment', async () => {
  const host = saying('draining', new Error('away'), 'draining', 'drained');
  assert.equal(await drain(host), 'drained');
  assert.equal(host.asked.length, 1);
});

test('nobody waits for what does not go by itself, for longer than there is time, or after it was called off', async () => {
  assert.equal(await drain(saying('draining', 'blocked')), 'blocked');
  assert.equal(await drain(saying('draining'), { drainMs: 20, everyMs: 5 }), 'late');
  assert.equal(await drain(saying('draining'), { drainMs: 0 }), 'not asked');
  assert.equal(await drain(saying('draining'), { calledOff: AbortSignal.abort() }), 'called off');
});

test('of what the bus says only PrepareForShutdown counts', () => {
  const line = (over: object) =>
    JSON.stringify({ member: 'PrepareForShutdown', payload: { type: 'b', data: [true] }, ...over });
  assert.equal(saysShutdown(line({})), true);
  assert.equal(saysShutdown(line({ payload: { type: 'b', data: [false] } })), false);
  for (const other of [
    '',
    'Monitoring bus message stream.',
    line({ member: 'NameLost' }),
    line({ payload: null }),
    '[]',
    'null',
  ])
    assert.equal(saysShutdown(other), undefined);
});
