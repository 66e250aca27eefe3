import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorCodes, type Reason } from '../../../contract/errors.ts';
import { faultType, typeOf } from './fault.ts';

test('every error code has a Neutron type, and reasons become exception names', () => {
  for (const code of errorCodes) assert.ok(typeOf[code].length > 0);
  const type = (reason: Reason) => faultType({ status: 409, code: 'conflict', reason, message: '', details: {} });
  assert.equal(type('network_in_use'), 'NetworkInUse');
  assert.equal(type('floating_ip_not_found'), 'FloatingIPNotFound');
  assert.equal(type('router_external_gateway_in_use_by_floating_ip'), 'RouterExternalGatewayInUseByFloatingIp');
  assert.equal(type('cidr_overlaps'), 'InvalidInput');
  assert.equal(type('router_has_subnet'), 'BadRequest');
  assert.equal(type('authentication_required'), 'HTTPConflict');
});
