/** Which streams are asked whether they live. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { testDatabase } from '../kit/database/testing.ts';
import { Liveness } from './liveness.ts';
import type { HostSession } from './session.ts';

test('who was heard lately is left alone, who was not is pinged, who is silent for long is given up', async (t) => {
  await using db = await testDatabase();
  const done: string[] = [];
  const heard = (name: string, agoMs: number) =>
    ({
      ...{ closed: false, greeted: true, connectionId: '', lastHeardMs: performance.now() - agoMs },
      ping: () => done.push(`ping ${name}`),
      abandon: () => done.push(`abandon ${name}`),
    }) as unknown as HostSession;
  const sessions = [heard('lively', 1000), heard('quiet', 70_000), heard('silent', 200_000)];
  t.mock.timers.enable({ apis: ['setInterval'] });
  const timing = { pingMs: 60_000, silentMs: 150_000 };
  const liveness = new Liveness({
    ...{ database: db.database, log: pino({ level: 'silent' }), timing, leaseMs: 1000 },
    ...{ sessions: () => sessions, greeted: new Map() },
  });
  liveness.start();
  t.mock.timers.tick(timing.pingMs);
  liveness.stop();
  assert.deepEqual(done.toSorted(), ['abandon silent', 'ping quiet']);
});
