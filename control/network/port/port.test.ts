import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { fixedIpsOf } from './port.ts';

test('addresses of both versions come out of their text in its order, and none out of nothing', () => {
  const [four, six] = [newId(), newId()];
  assert.deepEqual(fixedIpsOf(`${six}2001:db8::1,${four}10.0.0.1,${four}10.0.0.2`), [
    { subnet_id: six, ip_address: '2001:db8::1' },
    { subnet_id: four, ip_address: '10.0.0.1' },
    { subnet_id: four, ip_address: '10.0.0.2' },
  ]);
  assert.deepEqual(fixedIpsOf(null), []);
});
