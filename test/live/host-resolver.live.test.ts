/** The resolvers of a machine's networks, with real unbound and HAProxy and neither switch nor guests: a namespace stands for the network. Needs root. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import type { Socket } from 'node:dgram';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { newId } from '../../contract/ids.ts';
import { findEngine, stopEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { ensureProxy, proxyEngine } from '../../host/network/metadata-proxy.ts';
import { ensureResolvers, resolverEngines, stopResolvers } from '../../host/network/resolver.ts';
import { fakeForwarder } from './fake-forwarder.ts';

const run = promisify(execFile);
const skip = process.getuid?.() !== 0 || !['/usr/sbin/unbound', '/usr/sbin/haproxy'].every((file) => existsSync(file));
const directory = mkdtempSync(join(tmpdir(), 'bothy-names-'));
chmodSync(directory, 0o755);
const places = { runDirectory: directory, logDirectory: directory };
const forwarderAddress = '127.0.0.9';
const mine = `bn${process.pid}`;
const [inside, guest] = [`${mine}m`, `${mine}g`];
const hosts = [
  { name: 'a.openstacklocal', ips: ['10.1.0.11', 'fd00:1::11'] },
  { name: 'b.openstacklocal', ips: ['10.1.0.12'] },
  // A second name of one address, and a floating IP.
  { name: 'b.huts.example', ips: ['10.1.0.12'] },
  { name: 'door.huts.example', ips: ['203.0.113.7'] },
];
const network = { id: newId(), namespace: inside, names: { domain: 'openstacklocal', hosts } };
let forwarder: Socket;

const serve = (...networks: (typeof network)[]) =>
  ensureResolvers({ ...places, forwarders: [`${forwarderAddress}@5353`] }, networks);

before(async () => {
  if (skip) return;
  for (const name of [inside, guest]) await run('ip', ['netns', 'add', name]);
  await run('ip', ['-n', inside, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', guest]);
  const give = async (namespace: string, ...addresses: string[]) => {
    for (const device of ['lo', 'eth0']) await run('ip', ['-n', namespace, 'link', 'set', device, 'up']);
    for (const address of addresses) {
      const flags = address.includes(':') ? ['nodad'] : [];
      await run('ip', ['-n', namespace, 'addr', 'add', address, 'dev', 'eth0', ...flags]);
    }
  };
  await give(inside, '10.1.0.2/24', '169.254.169.254/32', 'fe80::a9fe:a9fe/64');
  await give(guest, '10.1.0.11/24', 'fe80::11/64');
  await run('ip', ['-n', guest, 'route', 'add', '169.254.169.254', 'via', '10.1.0.2']);
  forwarder = await fakeForwarder(forwarderAddress, '192.0.2.80');
  await ensureProxy({ ...places, user: 'nobody' }, [network]);
  await serve(network);
});

after(async () => {
  if (!skip) {
    await stopResolvers(directory);
    await stopEngine(proxyEngine(places));
    forwarder?.close();
    for (const name of [inside, guest]) await run('ip', ['netns', 'del', name]);
  }
  rmSync(directory, { recursive: true });
});

const ask = async (name: string, type: string, { by = 'udp', at = '10.1.0.2' } = {}) => {
  const script = join(import.meta.dirname, 'ask-name.ts');
  const { stdout } = await run('ip', ['netns', 'exec', guest, process.execPath, script, by, at, name, type]);
  return JSON.parse(stdout) as { rcode: string; answers: string[]; ms: number };
};
const said = async (...asked: Parameters<typeof ask>) => {
  const { rcode, answers } = await ask(...asked);
  return [rcode, ...answers].join(' ');
};
const resolverOf = (id: string) => resolverEngines(directory).find(({ name }) => name.endsWith(id))!;

test('guests find each other by name, and each question for a name of theirs has an answer', { skip }, async () => {
  await waitUntil('the resolver', async () => (await ask('a.openstacklocal', 'A')).rcode === 'NOERROR', {
    timeoutMs: 20_000,
  });
  for (const by of ['udp', 'tcp']) {
    assert.equal(await said('b.openstacklocal', 'A', { by }), 'NOERROR A 10.1.0.12');
    assert.equal(await said('A.OpenStackLocal', 'AAAA', { by }), 'NOERROR AAAA fd000001000000000000000000000011');
  }
  assert.equal(await said('b.openstacklocal', 'A', { at: 'fe80::a9fe:a9fe%eth0' }), 'NOERROR A 10.1.0.12');
  assert.equal(await said('b.openstacklocal', 'A', { at: '169.254.169.254' }), 'NOERROR A 10.1.0.12');
  assert.equal(await said('b.openstacklocal', 'AAAA'), 'NOERROR', 'of IPv4 alone');
  for (const type of ['MX', 'TXT', 'HTTPS']) assert.equal(await said('b.openstacklocal', type), 'NOERROR', type);
  assert.equal(await said('12.0.1.10.in-addr.arpa', 'PTR'), 'NOERROR PTR b.openstacklocal');
  assert.equal(await said('99.0.1.10.in-addr.arpa', 'PTR'), 'NXDOMAIN');
  assert.equal(await said('nobody.openstacklocal', 'A'), 'NXDOMAIN');
});

test('what is not of the network’s domain is answered too, and each address has one name', { skip }, async () => {
  assert.equal(await said('B.huts.example', 'A'), 'NOERROR A 10.1.0.12');
  assert.equal(await said('door.huts.example', 'A'), 'NOERROR A 203.0.113.7');
  assert.equal(await said('door.huts.example', 'AAAA'), 'NOERROR');
  assert.equal(await said('7.113.0.203.in-addr.arpa', 'PTR'), 'NOERROR PTR door.huts.example');
  assert.equal(await said('12.0.1.10.in-addr.arpa', 'PTR'), 'NOERROR PTR b.openstacklocal');
  // The rest of such a domain is the outside's.
  assert.equal(await said('www.huts.example', 'A'), 'NOERROR A 192.0.2.80');
});

test('guests find the outside, and are told within two seconds where nobody answers there', { skip }, async () => {
  assert.equal(await said('www.example.org', 'A'), 'NOERROR A 192.0.2.80');
  assert.equal(await said('www.example.org', 'A', { by: 'tcp' }), 'NOERROR A 192.0.2.80');
  const silent = await ask('silent.example.org', 'A');
  assert.equal(silent.rcode, 'SERVFAIL');
  assert.ok(silent.ms < 4000, `${silent.ms} ms`);
  assert.equal(await said('b.openstacklocal', 'A'), 'NOERROR A 10.1.0.12');
  await waitUntil('the outside again', async () => (await ask('new.example.org', 'A')).rcode === 'NOERROR', {
    timeoutMs: 15_000,
  });
});

test('a name that comes is answered by the same resolver; one that died is started again', { skip }, async () => {
  const before = findEngine(resolverOf(network.id));
  assert.notEqual(before, undefined);
  const more = [...hosts, { name: 'c.openstacklocal', ips: ['10.1.0.13'] }];
  await serve({ ...network, names: { ...network.names, hosts: more } });
  const known = (name: string) => async () => (await ask(name, 'A')).rcode === 'NOERROR';
  await waitUntil('the new name', known('c.openstacklocal'), { timeoutMs: 10_000 });
  assert.equal(findEngine(resolverOf(network.id)), before);
  process.kill(before!, 'SIGKILL');
  await waitUntil('its death', () => findEngine(resolverOf(network.id)) === undefined, { timeoutMs: 5000 });
  await serve(network);
  await waitUntil('the next resolver', known('a.openstacklocal'), { timeoutMs: 10_000 });
  assert.equal(await said('c.openstacklocal', 'A'), 'NXDOMAIN');
  const memory = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${findEngine(resolverOf(network.id))}/status`, 'utf8'));
  console.log(`# a resolver has ${memory?.[1]} KiB in memory`);
});

test('where a router translates, who has IPv4 alone has an address below the prefix, near and far', {
  skip,
}, async () => {
  const before = findEngine(resolverOf(network.id));
  await serve({ ...network, names: { ...network.names, dns64: 'fd64:ff9b:1::/96' } as typeof network.names });
  const below = (address: string) => `NOERROR AAAA fd64ff9b0001${'0'.repeat(12)}${address}`;
  const far = below('c0000250');
  await waitUntil('the prefix', async () => (await said('one.example.org', 'AAAA')) === far, { timeoutMs: 10_000 });
  assert.equal(findEngine(resolverOf(network.id)), before, 'by the same resolver');
  assert.equal(await said('two.example.org', 'AAAA', { by: 'tcp' }), far);
  assert.equal(await said('two.example.org', 'A'), 'NOERROR A 192.0.2.80');
  assert.equal(await said('door.huts.example', 'AAAA'), below('cb007107'));
  assert.equal(await said('a.openstacklocal', 'AAAA'), 'NOERROR AAAA fd000001000000000000000000000011');
  const known = ['c00000aa', 'c00000ab'].map(below).join(' ').replace(' NOERROR', '');
  assert.equal(await said('ipv4only.arpa', 'AAAA'), known, 'by which guests find the prefix out');
  await serve(network);
  const none = async () => (await said('three.example.org', 'AAAA')) === 'NOERROR';
  await waitUntil('the end of it', none, { timeoutMs: 10_000 });
});

test('without networks there is no resolver, and its files are gone', { skip }, async () => {
  const pids = resolverEngines(directory).map((engine) => findEngine(engine));
  assert.equal(pids.length, 2);
  await serve();
  assert.deepEqual(resolverEngines(directory), []);
  await waitUntil('their end', () => pids.every((pid) => !existsSync(`/proc/${pid}`)), { timeoutMs: 5000 });
});
