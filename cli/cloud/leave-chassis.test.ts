/** Against the real ovsdb-server, where it is installed: it is its index that stands in the way. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Session } from '../../protocols/ovsdb/session.ts';
import { realServer, serveReal } from '../../simulator/ovsdb/testing.ts';
import { forgetChassis } from './leave-chassis.ts';

const schema = '/usr/share/ovn/ovn-sb.ovsschema';
const skip = !realServer || !existsSync(schema);

test('a machine comes back to its address as a new host when the chassis of the old one is forgotten', {
  skip,
}, async (t) => {
  const served = await serveReal(JSON.parse(readFileSync(schema, 'utf8')));
  t.after(() => served.close());
  const session = await Session.open({ target: served.target, probeMs: 0 });
  t.after(() => session.close());
  const transact = async (...operations: object[]) =>
    (await session.call('transact', ['OVN_Southbound', ...operations])) as (Outcome | null)[];
  // As ovn-controller makes them.
  const register = async (name: string, ip: string) => {
    const encap = { type: 'geneve', ip, chassis_name: name };
    const results = await transact(
      { op: 'insert', table: 'Encap', 'uuid-name': 'encap', row: encap },
      { op: 'insert', table: 'Chassis', row: { name, encaps: ['set', [['named-uuid', 'encap']]] } },
      { op: 'insert', table: 'Chassis_Private', row: { name } },
    );
    return results.find((result) => result?.error)?.error;
  };
  const names = async (table: string) =>
    (await transact({ op: 'select', table, where: [], columns: ['name'] }))[0]?.rows;
  assert.equal(await register('first', '10.0.0.1'), undefined);
  assert.equal(await register('lost', '10.0.0.2'), undefined);
  assert.equal(await register('again', '10.0.0.2'), 'constraint violation');
  await forgetChassis({ target: served.target }, async () => new Set(['first', 'again']));
  assert.deepEqual(await names('Chassis'), [{ name: 'first' }]);
  assert.deepEqual(await names('Chassis_Private'), [{ name: 'first' }]);
  assert.equal(await register('again', '10.0.0.2'), undefined);
});

interface Outcome {
  error?: string;
  rows?: object[];
}
