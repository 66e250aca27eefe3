import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudError, hasReason, isCloudError, type NoFields, sentenceOf } from './errors.ts';

declare module './errors.ts' {
  interface Reasons {
    shelf_full: { shelf: string; boards: number };
    shelf_gone: NoFields;
  }
}

test('an error without a dialect says its reason and its fields', () => {
  assert.equal(
    new CloudError('conflict', 'shelf_full', { shelf: 'b2', boards: 3 }).message,
    'shelf full (shelf: b2, boards: 3)',
  );
  assert.equal(new CloudError('not_found', 'shelf_gone', {}).message, 'shelf gone');
});

test('the same meaning under another code keeps its fields and what it was', () => {
  const first = new CloudError('not_found', 'shelf_full', { shelf: 'b2', boards: 3 });
  const second: unknown = first.as('invalid');
  assert.ok(isCloudError(second, 'invalid') && hasReason(second, 'shelf_full'));
  assert.deepEqual([second.fields, second.cause], [first.fields, first]);
  assert.ok(!hasReason(second, 'shelf_gone'));
});

test('a table says what it has an entry for, from the fields', () => {
  const table = { shelf_full: ({ boards }: { boards: number }) => `All ${boards} boards are full.` };
  assert.equal(
    sentenceOf(new CloudError('conflict', 'shelf_full', { shelf: 'b2', boards: 3 }), table),
    'All 3 boards are full.',
  );
  assert.equal(sentenceOf(new CloudError('not_found', 'shelf_gone', {}), table), undefined);
});
