/** What an OVN lacks is found out from its schema and from ovn-northd's own word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DatabaseSchema } from '../../../protocols/ovsdb/index.ts';
import { featuresOf } from './features.ts';

const schema = (...tables: string[]) =>
  ({
    name: 'OVN_Northbound',
    version: '7',
    tables: new Map(tables.map((name) => [name, {}])),
  }) as unknown as DatabaseSchema;
const global = (version: string) => ({ _uuid: 'g', options: { northd_internal_version: version } });
const lacking = (...asked: Parameters<typeof featuresOf>) => featuresOf(...asked).lacks.map(({ feature }) => feature);

test('Debian 12’s OVN lacks what came later, and says its version', () => {
  const found = featuresOf(schema('ACL'), global('23.03.1-20.27.0-70.6'));
  assert.equal(found.version, '23.03.1-20.27.0-70.6');
  assert.deepEqual(
    found.lacks.map(({ feature }) => feature),
    ['dhcpv6_fqdn', 'acl_sampling'],
  );
});

test('a newer one has it: by release where no table tells, by table where one does', () => {
  assert.deepEqual(lacking(schema('ACL'), global('23.09.0-20.29.0-72.6')), ['acl_sampling']);
  assert.deepEqual(lacking(schema('ACL', 'Sample_Collector'), global('24.09.1-20.37.0-77.4')), []);
  assert.deepEqual(lacking(schema('ACL'), global('26.03.2')), ['acl_sampling']);
});

test('of one that has not said what it is nothing is assumed', () => {
  for (const row of [undefined, { _uuid: 'g', options: {} }, global('unknown')]) {
    assert.deepEqual(lacking(schema('Sample_Collector'), row), ['dhcpv6_fqdn']);
  }
  assert.equal(featuresOf(schema(), undefined).version, null);
});
