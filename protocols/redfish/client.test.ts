/** A service processor that is right, as vendors make it, and wrong in every way. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { Secret } from '../../contract/secret.ts';
import { FakeBmc, type Quirk, type Trouble } from '../../simulator/redfish/index.ts';
import { type TestTls, testAuthority } from '../../test/support/certificates.ts';
import { type BmcErrorKind, swapped } from '../bmc/index.ts';
import { Redfish, type RedfishOptions } from './index.ts';

let tls: TestTls;
let bmc: FakeBmc;
let url: string;
const uuid = '4c4c4544-0042-3510-8051-b4c04f4e3732';
before(async () => {
  tls = await (await testAuthority()).issue('bmc');
  bmc = new FakeBmc({ tls, user: 'bothy', password: 'Grüße', uuid: uuid.toUpperCase() });
  url = await bmc.listen();
});
after(() => bmc.close());
afterEach(() => {
  bmc.quirks.clear();
  bmc.trouble = undefined;
  bmc.turn(true);
  bmc.resets.length = 0;
});

const opened = (over: Partial<RedfishOptions> = {}) =>
  new Redfish({ url, user: 'bothy', password: new Secret('Grüße'), trust: { ca: tls.ca }, timeoutMs: 5000, ...over });

const quirks: Quirk[][] = [
  [],
  ['sessions only'],
  ['no actions'],
  ['absolute links', 'sessions only'],
  ['accepts with a task', 'no keep-alive'],
  ['environment metrics'],
];
for (const set of quirks) {
  test(`a machine is turned off and on, and says what it takes${set.map((one) => `, ${one}`).join('')}`, async () => {
    for (const quirk of set) bmc.quirks.add(quirk);
    const redfish = opened();
    const system = await redfish.system();
    const otherUuids = [swapped(uuid)];
    const label = 'Contoso 3500 437XR1138R2';
    const { askedAt, ...rest } = system;
    assert.ok(askedAt <= performance.now());
    assert.deepEqual(rest, { path: '/redfish/v1/Systems/1', uuid, otherUuids, power: 'on', label });
    assert.equal(await redfish.watts(), 344);
    assert.match(await redfish.reset('ForceOff'), /^HTTP 20[24]/);
    assert.equal((await redfish.system()).power, 'off');
    assert.equal(await redfish.watts(), undefined);
    await redfish.reset('On');
    assert.equal((await redfish.system()).power, 'on');
    assert.deepEqual(bmc.resets, ['ForceOff', 'On']);
    await redfish.close();
    assert.equal(bmc.sessions.size, 0);
  });
}

test('watts that are text are read', async () => {
  bmc.quirks.add('watts as text');
  await using redfish = opened();
  assert.equal(await redfish.watts(), 344.5);
});

test('a machine that is on its way is neither on nor off, and one that is off may refuse to be turned off', async () => {
  bmc.quirks.add('slow to go off').add('conflict when off');
  await using redfish = opened();
  await redfish.reset('ForceOff');
  assert.equal((await redfish.system()).power, 'changing');
  await assert.rejects(redfish.reset('ForceOff'), {
    kind: 'refused',
    message: 'HTTP 409: Server is already powered OFF.',
  });
});

test('of several systems one has to be named', async () => {
  bmc.quirks.add('two systems');
  {
    await using redfish = opened();
    await assert.rejects(redfish.system(), {
      kind: 'ambiguous',
      message: 'there are 2 systems: /redfish/v1/Systems/1, /redfish/v1/Systems/2',
    });
  }
  for (const system of ['2', '/redfish/v1/Systems/2']) {
    await using redfish = opened({ system });
    assert.equal((await redfish.system()).path, '/redfish/v1/Systems/2');
  }
  await using redfish = opened({ system: '3' });
  await assert.rejects(redfish.system(), { kind: 'ambiguous' });
});

test('the certificate is compared before the password is told', async () => {
  const { fingerprint256 } = new X509Certificate(tls.cert);
  const digits = fingerprint256.replaceAll(':', '');
  await using right = opened({ trust: { fingerprint256: digits } });
  assert.equal((await right.system()).power, 'on');
  const other = await testAuthority();
  const elsewhere = await testAuthority().then((authority) => authority.issue('bmc', ['192.0.2.7']));
  await using misnamed = new FakeBmc({ tls: elsewhere, user: 'bothy', password: 'Grüße' });
  const wrong: Partial<RedfishOptions>[] = [
    { trust: { fingerprint256: '0'.repeat(64) } },
    { trust: { ca: other.ca } },
    { url: await misnamed.listen(), trust: { ca: elsewhere.ca } },
  ];
  const before = bmc.asked;
  for (const over of wrong) {
    await using redfish = opened(over);
    await assert.rejects(redfish.system(), { kind: 'untrusted' });
  }
  assert.deepEqual([bmc.asked, misnamed.asked], [before, 0]);
});

test('a wrong password is said to be one, in both ways to log in', async () => {
  for (const set of [[], ['sessions only']] as Quirk[][]) {
    for (const quirk of set) bmc.quirks.add(quirk);
    await using redfish = opened({ password: new Secret('wrong') });
    await assert.rejects(redfish.system(), { kind: 'denied' });
  }
});

const troubles: [Trouble, BmcErrorKind][] = [
  ['silent', 'unreachable'],
  ['server error', 'unreachable'],
  ['half an answer', 'unreachable'],
  ['no json', 'malformed'],
  ['endless', 'malformed'],
  ['redirects', 'malformed'],
  ['foreign links', 'malformed'],
];
for (const [trouble, kind] of troubles) {
  test(`a service that is ${trouble} is ${kind}, and soon`, async () => {
    bmc.trouble = trouble;
    await using redfish = opened({ timeoutMs: trouble === 'silent' ? 100 : 5000 });
    await assert.rejects(redfish.system(), { kind });
    await assert.rejects(redfish.reset('ForceOff'), { kind });
    assert.equal(bmc.power, true);
  });
}

test('a reset of what was found a moment ago asks nothing else, and comes to nothing where it would be late', async () => {
  await using redfish = opened();
  const system = await redfish.system();
  const { asked } = bmc;
  await redfish.reset('ForceOff', { system, withinMs: 5000 });
  assert.deepEqual([bmc.asked - asked, bmc.resets], [1, ['ForceOff']]);
  bmc.trouble = 'silent';
  const began = performance.now();
  await assert.rejects(redfish.reset('On', { system, withinMs: 50.5 }), { kind: 'unreachable' });
  assert.ok(performance.now() - began < 4000, 'sooner than the time for one request');
});

test('where nobody listens it is said so', async () => {
  await using redfish = opened({ url: 'https://127.0.0.1:1' });
  await assert.rejects(redfish.system(), { kind: 'unreachable', message: 'ECONNREFUSED' });
});
