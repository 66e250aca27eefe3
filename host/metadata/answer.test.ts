import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer } from './answer.ts';
import { metadataFiles } from './document.ts';
import { canonicalAddress, linkLocal, MetadataLookup } from './lookup.ts';
import { exampleServer } from './testing.ts';

const body = (path: string) => {
  const found = answer(exampleServer(), path);
  return found === undefined ? undefined : String(found.body);
};

test('both trees list their versions', () => {
  assert.equal(body('/')!.split('\n').at(-1), 'latest');
  assert.equal(body('/')!.split('\n')[0], '1.0');
  assert.equal(body('/openstack')!.split('\n')[0], '2012-08-10');
  assert.equal(body('/openstack/'), body('/openstack'));
});

test('a listing of a version names the files that it has', () => {
  assert.equal(body('/openstack/2012-08-10'), 'meta_data.json\nuser_data');
  assert.match(body('/openstack/latest')!, /network_data\.json/);
  assert.equal(body('/2009-04-04'), 'meta-data/\nuser-data');
});

test('keys are listed the way cloud-init expects', () => {
  assert.equal(body('/latest/meta-data/public-keys/'), '0=my key');
  assert.equal(body('/latest/meta-data/public-keys/0/'), 'openssh-key');
  assert.equal(body('/latest/meta-data/public-keys/0/openssh-key'), 'ssh-ed25519 AAAA me');
});

test('single values, directories and user data', () => {
  assert.equal(body('/latest/meta-data/hostname'), 'host-1');
  assert.equal(body('/latest/meta-data/placement/'), 'availability-zone');
  assert.match(body('/latest/meta-data/')!, /^placement\/$/m);
  assert.deepEqual(answer(exampleServer(), '/latest/user-data')!.body, Buffer.from([0x23, 0x21, 0x00, 0xff]));
  assert.equal(answer(exampleServer({ userData: null }), '/latest/user-data'), undefined);
});

test('files are where meta_data.json says that they are, byte by byte', () => {
  const bytes = Buffer.from([0x1f, 0x8b, 0, 0xff]);
  const files = ['/etc/motd', '/小屋'].map((path) => ({ path, contents: bytes.toString('base64') }));
  const server = exampleServer({ files });
  const document = JSON.parse(String(answer(server, '/openstack/latest/meta_data.json')!.body));
  assert.deepEqual(
    document.files.map(({ path }: { path: string }) => path),
    ['/etc/motd', '/小屋'],
  );
  for (const { content_path: path } of document.files) {
    assert.deepEqual(answer(server, `/openstack${path}`)!.body, bytes);
    assert.deepEqual(metadataFiles(server).get(`openstack${path}`), bytes);
  }
  for (const path of ['', '/', '/0002', '/0000/x', '/constructor']) {
    assert.equal(answer(server, `/openstack/content${path}`), undefined, path);
  }
});

test('the reservation and the flavor are named as they were stored', () => {
  const server = exampleServer({ reservationId: 'r-1a2b3c4d', flavorName: 'klein 🏔' });
  assert.equal(answer(server, '/latest/meta-data/reservation-id')!.body, 'r-1a2b3c4d');
  assert.equal(answer(server, '/latest/meta-data/instance-type')!.body, 'klein 🏔');
});

test('what does not exist is not found, whatever it is called', () => {
  for (const path of [
    '/2001-01-01/meta-data',
    '/latest/meta-data/hostname/x',
    '/latest/meta-data/__proto__',
    '/latest/meta-data/constructor',
    '/latest/meta-data/public-keys/0/_name',
    '/openstack/latest/../../etc/passwd',
    '/openstack/latest/meta_data.json/x',
    '/latest/else',
  ]) {
    assert.equal(body(path), undefined, path);
  }
});

test('a server is found by network and address, in any spelling of the address', () => {
  const lookup = new MetadataLookup([exampleServer()]);
  const network = exampleServer().ports[0]!.networkId;
  assert.ok(lookup.find(network, '10.1.0.11'));
  assert.ok(lookup.find(network, '::ffff:10.1.0.11'));
  assert.ok(lookup.find(network, 'FD00:1:0:0:f816:3eff:fe00:1'));
  assert.ok(lookup.find(network, 'fe80::f816:3eff:fe00:1'));
  assert.equal(lookup.find(network, '10.1.0.12'), undefined);
  assert.equal(lookup.find('01900000-0000-7000-8000-000000000099', '10.1.0.11'), undefined);
  assert.equal(linkLocal('fa:16:3e:00:00:01'), 'fe80::f816:3eff:fe00:1');
  assert.equal(canonicalAddress('nonsense'), 'nonsense');
});

test('a server that shall be gone is not told anything', () => {
  const lookup = new MetadataLookup([exampleServer({ presence: 'absent' })]);
  assert.equal(lookup.find(exampleServer().ports[0]!.networkId, '10.1.0.11'), undefined);
});
