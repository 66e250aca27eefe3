import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineUuidIn } from './machine-facts.ts';

test('a machine says its number, and none where its firmware says what many say', () => {
  const own = '4c4c4544-0042-3510-8051-b4c04f4e3732';
  assert.equal(machineUuidIn(`${own.toUpperCase()}\n`), own);
  for (const text of [
    ...['', 'Not Settable', '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ...['03000200-0400-0500-0006-000700080009', '12345678-1234-5678-90ab-cddeefaabbcc'],
  ])
    assert.equal(machineUuidIn(text), undefined, text);
});
