/** The BMC of a host, as administrators say it: what is refused, what is shown, and what never is. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { serverCloud } from '../../control/compute/server/testing.ts';
import { FakeBmc } from '../../simulator/redfish/index.ts';
import { type TestTls, testAuthority } from '../../test/support/certificates.ts';
import { makeTenant, type TestApi } from '../openstack/identity/testing.ts';
import { nativeApi } from './testing.ts';

let api: TestApi;
let tls: TestTls;
let bmc: FakeBmc;
let url: string;
let host: string;
before(async () => {
  api = await nativeApi();
  tls = await (await testAuthority()).issue('bmc');
  bmc = new FakeBmc({ tls, user: 'root', password: 'calvin 小屋' });
  url = await bmc.listen();
  host = await (await serverCloud(api.cloud.db.database)).addHost();
});
after(async () => {
  await bmc.close();
  await api[Symbol.asyncDispose]();
});

const call = (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown, token = api.admin) =>
  api.call({ method, path: `/native/v1${path}`, token, ...(body !== undefined && { body }) });
const put = (wish: object, id = host) => call('PUT', `/hosts/${id}/bmc`, { bmc: { url, user: 'root', ...wish } });

test('a BMC is said, shown without its password, tested, and forgotten', async () => {
  const fingerprint256 = new X509Certificate(tls.cert).fingerprint256;
  const untrusted = await put({ password: 'calvin 小屋' });
  assert.deepEqual([untrusted.status, untrusted.body.error.reason], [409, 'bmc_trust_missing']);
  const digits = fingerprint256.replaceAll(':', '').toLowerCase();
  assert.equal(untrusted.body.error.details.fingerprint256, digits);
  assert.equal(bmc.asked, 0, 'its certificate alone was looked at');
  const said = await put({ password: 'calvin 小屋', fingerprint256 });
  assert.deepEqual([said.status, said.body.bmc.fingerprint256, said.body.bmc.fences], [200, digits, true]);
  const shown = await call('GET', `/hosts/${host}/bmc`);
  assert.deepEqual(shown.body, said.body);
  assert.ok(!JSON.stringify(shown.body).includes('calvin'));
  const tested = await call('POST', `/hosts/${host}/bmc/test`);
  assert.deepEqual(tested.body.bmc_test, {
    ...{ power: 'on', system: '/redfish/v1/Systems/1', label: 'Contoso 3500 437XR1138R2', uuid: null, watts: 344 },
    same_machine: null,
  });
  assert.deepEqual(bmc.resets, []);
  const { rows } = await sql<{ body: object }>`select body from change where resource_type = 'host_bmc'`.execute(
    api.cloud.db.database.query,
  );
  assert.ok(rows.length > 0 && !rows.some(({ body }) => 'sealed' in body));
  assert.equal((await call('DELETE', `/hosts/${host}/bmc`)).status, 204);
  for (const again of [await call('DELETE', `/hosts/${host}/bmc`), await call('GET', `/hosts/${host}/bmc`)])
    assert.deepEqual([again.status, again.body.error.reason], [404, 'host_bmc_not_found']);
});

test('a password that is not said again is kept at the same address, and goes to no other one', async () => {
  assert.equal((await put({ password: 'calvin 小屋', ca: tls.ca })).status, 200);
  assert.equal((await put({ fences: false })).body.bmc.fences, false);
  assert.equal((await call('POST', `/hosts/${host}/bmc/test`)).status, 200);
  for (const elsewhere of [{ url: 'https://192.0.2.1', ca: tls.ca }, { fingerprint256: '0'.repeat(64) }]) {
    const { status, body } = await put(elsewhere);
    assert.deepEqual([status, body.error.reason], [400, 'bmc_password_missing']);
  }
});

test('what is of no use is refused by name', async () => {
  const [password, trust] = ['calvin 小屋', { ca: tls.ca }];
  const refused: [object, number, string | undefined][] = [
    [{ password, ...trust, url: 'telnet://192.0.2.1' }, 400, 'bmc_address_unserved'],
    [{ password: 'calvin', url: 'ipmi://-Ilan' }, 400, 'bmc_address_unserved'],
    [{ password: 'calvin', url: 'ipmi://192.0.2.1/1' }, 400, 'bmc_address_unserved'],
    [{ password: 'calvin', ...trust, url: 'ipmi://192.0.2.1' }, 400, 'bmc_field_of_redfish'],
    [{ password: 'calvin', system: '1', url: 'ipmi://192.0.2.1' }, 400, 'bmc_field_of_redfish'],
    [{ password: 'calvin'.repeat(4), url: 'ipmi://192.0.2.1' }, 400, 'bmc_field_too_long'],
    [{ password: 'calvin', user: 'root'.repeat(5), url: 'ipmi://192.0.2.1' }, 400, 'bmc_field_too_long'],
    [{ password, ...trust, url: url.replace('https', 'http') }, 400, 'bmc_address_unserved'],
    [{ password, ...trust, url: `${url}/redfish/v1` }, 400, 'bmc_address_unserved'],
    [{ password, ...trust, url: url.replace('//', '//root:calvin@') }, 400, 'bmc_address_unserved'],
    [{ password, ...trust, url: 'nothing' }, 400, 'bmc_address_unserved'],
    [{ password, ca: 'no certificate' }, 400, 'bmc_ca_malformed'],
    [{ password, url: 'https://127.0.0.1:1' }, 409, 'bmc_unusable'],
    [{ password, ...trust, user: 'a:b' }, 400, undefined],
    [{ password, ...trust, more: 1 }, 400, undefined],
  ];
  for (const [wish, status, reason] of refused) {
    const answer = await put(wish);
    assert.deepEqual([answer.status, answer.body.error.reason], [status, reason], JSON.stringify(wish));
  }
  for (const id of [newId(), 'x'])
    assert.equal((await put({ password, ...trust }, id)).body.error.reason, 'host_not_found');
});

test('a test says why the BMC is of no use', async () => {
  await put({ password: 'wrong', ca: tls.ca });
  const { status, body } = await call('POST', `/hosts/${host}/bmc/test`);
  assert.deepEqual([status, body.error.reason, body.error.details.kind], [409, 'bmc_unusable', 'denied']);
  assert.ok(!JSON.stringify(body).includes('wrong'));
});

test('it is for administrators alone', async () => {
  const { token: member } = await makeTenant(api);
  for (const answer of [
    await call('GET', `/hosts/${host}/bmc`, undefined, member),
    await call('PUT', `/hosts/${host}/bmc`, { bmc: { url, user: 'root', password: 'x', ca: tls.ca } }, member),
    await call('POST', `/hosts/${host}/bmc/test`, undefined, member),
    await call('DELETE', `/hosts/${host}/bmc`, undefined, member),
  ])
    assert.equal(answer.status, 403);
});
