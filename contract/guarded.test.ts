import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { guarded } from './guarded.ts';

test('neither an exception nor a rejection leaves a guarded handler; both come to its owner with what it was called with', async () => {
  const failures: unknown[] = [];
  const emitter = new EventEmitter();
  const failed = (error: unknown, name: string) => failures.push(`${name}: ${(error as Error).message}`);
  emitter.on(
    'x',
    guarded((name: string) => {
      throw new Error(`at once ${name}`);
    }, failed),
  );
  emitter.on(
    'x',
    guarded(async (name: string) => {
      throw new Error(`later ${name}`);
    }, failed),
  );
  emitter.emit('x', 'a');
  await new Promise(setImmediate);
  assert.deepEqual(failures, ['a: at once a', 'a: later a']);
});
