import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { exposedGc } from './idle.ts';

test('a process that was started without --expose-gc can collect, and runs under its own flags again', () => {
  const gc = exposedGc();
  assert.equal(typeof gc, 'function');
  gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  assert.equal(runInNewContext('typeof gc'), 'undefined');
});
