import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudError, errorCodes } from '../../../contract/errors.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { statusOf, toFault } from './faults.ts';

test('every error code has an HTTP status, and no status has a code that there is not', () => {
  assert.deepEqual(Object.keys(statusOf).sort(), [...errorCodes].sort());
  for (const code of errorCodes) assert.ok(statusOf[code] >= 400 && statusOf[code] < 600, code);
});

test('what a caller is told of a cloud error is its code, message and details', () => {
  const fault = toFault(
    new Refusal('conflict', 'the name is taken', { details: { name: 'x' }, cause: new Error('sql') }),
  );
  assert.deepEqual(fault, { status: 409, code: 'conflict', message: 'the name is taken', details: { name: 'x' } });
  assert.equal(toFault(new Refusal('quota_exceeded', ''), { overrides: { quota_exceeded: 403 } }).status, 403);
});

test('what control refuses is said in the words of the dialect, and plainly where it has none', () => {
  const error = new CloudError('not_found', 'tag_not_found', { tag: 'blue' });
  const { reason, message, details } = toFault(error, { sentences: { tag_not_found: ({ tag }) => `No ${tag}.` } });
  assert.deepEqual([reason, message, details], ['tag_not_found', 'No blue.', { tag: 'blue' }]);
  assert.equal(toFault(error).message, 'tag not found (tag: blue)');
});

test('nothing of a defect reaches a caller', () => {
  for (const defect of [
    new Error('password=1'),
    new Refusal('internal', 'password=1', { details: { a: 1 } }),
    new CloudError('internal', 'migration_failed', { migration: 'password=1' }),
    'text',
  ]) {
    const fault = toFault(defect);
    assert.equal(fault.status, 500);
    assert.ok(!JSON.stringify(fault).includes('password'));
    assert.deepEqual(fault.details, {});
  }
});

test("the web framework's refusals keep their status, and only client errors are taken as such", () => {
  assert.equal(toFault(Object.assign(new Error('too big'), { statusCode: 413 })).code, 'too_large');
  assert.equal(toFault(Object.assign(new Error('bad'), { statusCode: 400 })).code, 'invalid');
  assert.equal(toFault(Object.assign(new Error('odd'), { statusCode: 302 })).status, 500);
});
