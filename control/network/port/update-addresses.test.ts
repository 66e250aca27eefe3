import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareAddresses } from './update-addresses.ts';

const at = (subnet_id: string, ip: string) => ({ subnet_id, ip });
const none = () => false;

test('an address that is asked for and there stays; wishes for any address take what is left', () => {
  const now = [at('a', '10.0.0.1'), at('a', '10.0.0.2'), at('b', '10.1.0.1')];
  assert.deepEqual(compareAddresses(now, [{ subnet_id: 'a' }, { ip: '10.0.0.1' }], none), {
    stay: [at('a', '10.0.0.1'), at('a', '10.0.0.2')],
    add: [],
    remove: [at('b', '10.1.0.1')],
  });
  assert.deepEqual(compareAddresses(now, [{ subnet_id: 'b', ip: '10.0.0.1' }], none).add, [
    { subnet_id: 'b', ip: '10.0.0.1' },
  ]);
});

test('one address answers one wish, and addresses that guests choose stay unasked', () => {
  const now = [at('a', '10.0.0.1'), at('s', '2001:db8::1')];
  const { stay, add } = compareAddresses(now, [{ subnet_id: 'a' }, { subnet_id: 'a' }], (ip) => ip.subnet_id === 's');
  assert.deepEqual([stay, add], [now, [{ subnet_id: 'a' }]]);
});

test('an address in another spelling is the same address', () => {
  assert.deepEqual(compareAddresses([at('s', '2001:db8::1')], [{ ip: '2001:DB8:0::1' }], none).add, []);
});
