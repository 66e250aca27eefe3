/** What makes a machine a host: tokens, and what is looked at before one is used up. The machine's side is in test/live/alone/join.live.test.ts. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { hostProtocol } from '../../../contract/host/index.ts';
import { newId, newOrderedId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { testCaller } from '../../../test/support/callers.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { Authority } from '../../pki/authority.ts';
import { certificateRequestOf } from '../../pki/request.ts';
import { greeting, HostTokenService, JoinService, type JoinWish, parseToken } from './index.ts';

const directory = mkdtempSync(join(tmpdir(), 'bothy-join-'));
const admin = testCaller(['admin']);
const word = 'ab'.repeat(16);
const keys = [0, 1].map(() =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
);
let db: TestDatabase;
let authority: Authority;
let tokens: HostTokenService;
let joins: JoinService;
let machine: Server;
let signed = 0;

before(async () => {
  db = await testDatabase();
  authority = await Authority.open(directory, 'cloud');
  tokens = new HostTokenService({ database: db.database, ca: authority.ca });
  joins = new JoinService({
    ...{ database: db.database, cloudId: newId(), version: '1.0.0', southboundPort: 6642 },
    authority: { id: newOrderedId(), url: '' },
    client: {
      certify: async (_host, { hostId, addresses, csr }) => {
        signed++;
        const leaf = { commonName: hostId, names: [hostId, ...addresses], usages: ['client'] as const, lifeMs: 60_000 };
        return { certificate: await authority.sign(csr, leaf), ca: authority.ca };
      },
    },
  });
  machine = createServer((socket) => socket.on('error', () => {}).end(greeting(word)));
  await new Promise<void>((resolve) => machine.listen(0, '127.0.0.1', resolve));
});
after(async () => {
  machine.close();
  await db[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const issue = async (hostName?: string): Promise<Secret> => {
  const { text } = await tokens.create(admin, { hostName });
  return parseToken(text)!.secret;
};

async function wishOf(secret: Secret, over: Partial<JoinWish> = {}, key = keys[0]!): Promise<JoinWish> {
  return {
    ...{ secret, name: `host-${newId()}`, address: '127.0.0.1', word, now: Date.now() },
    hostPort: (machine.address() as AddressInfo).port,
    csr: await certificateRequestOf(key),
    ...{ version: '1.0.0', protocol: hostProtocol },
    ...over,
  };
}

const hostsNow = async (): Promise<number> => {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from host`.execute(db.database.query);
  return rows[0]!.count;
};

/** Nothing is made by it. */
async function refused(wish: JoinWish, expected: object): Promise<void> {
  const before = await hostsNow();
  await assert.rejects(joins.join(wish), expected);
  assert.equal(await hostsNow(), before);
}

test('a token makes one host, and whoever has its key gets the same answer again', async () => {
  const wish = await wishOf(await issue(), { name: 'second 小屋' });
  const made = await joins.join(wish);
  assert.equal(made.southboundPort, 6642);
  const again = await joins.join({ ...wish, now: 0 });
  assert.equal(again.hostId, made.hostId);
  assert.equal((await joins.join({ ...wish, name: 'another' })).name, 'second 小屋');
  const another = await wishOf(wish.secret, { name: wish.name }, keys[1]);
  await refused(another, {
    code: 'unauthenticated',
    reason: 'host_token_refused',
    fields: { why: 'used', name: null },
  });
  const [row] = (await tokens.list(admin)).filter(({ used_by }) => used_by === made.hostId);
  assert.ok(row?.used_at);
  const { rows } = await sql`select name, physical_networks, enabled from host where id = ${made.hostId}`.execute(
    db.database.query,
  );
  assert.deepEqual(rows, [{ name: 'second 小屋', physical_networks: [], enabled: true }]);
  // Once the host has gone its token is good for nothing.
  await sql`delete from host where id = ${made.hostId}`.execute(db.database.query);
  await refused(wish, { reason: 'host_token_refused', fields: { why: 'used', name: null } });
});

test('of many who come with one token at once, one machine joins', async () => {
  const secret = await issue();
  const wishes = await Promise.all(
    [0, 1, 0, 1, 0, 1].map((key) => wishOf(secret, { name: `racer-${key}` }, keys[key])),
  );
  const outcomes = await Promise.allSettled(wishes.map((wish) => joins.join(wish)));
  const ids = new Set(outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.hostId] : [])));
  assert.equal(ids.size, 1);
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 3);
});

test('what does not fit is refused before anything is made or signed', async () => {
  const secret = await issue();
  const signedBefore = signed;
  const tokenRefused = (why: string, name: string | null = null) => ({
    code: 'unauthenticated',
    reason: 'host_token_refused',
    fields: { why, name },
  });
  await refused(await wishOf(new Secret('none')), tokenRefused('unknown'));
  await refused(await wishOf(await issue('other')), tokenRefused('name', 'other'));
  const over = await issue();
  await sql`update host_token set expires_at = now() where used_at is null and host_name is null`.execute(
    db.database.query,
  );
  await refused(await wishOf(over), tokenRefused('expired'));
  await sql`update host_token set expires_at = now() + interval '1 hour'`.execute(db.database.query);

  const newer = { protocol: { lowest: 9000, highest: 9001 }, version: '9.0.0' };
  const unfit = { code: 'conflict', reason: 'host_join_version_unfit', fields: { version: '9.0.0', own: '1.0.0' } };
  await refused(await wishOf(secret, newer), unfit);
  await refused(await wishOf(secret, { now: Date.now() + 60_000 }), { reason: 'host_join_clock_off' });
  const [{ name } = { name: '' }] = (
    await sql<{ name: string }>`select name from host limit 1`.execute(db.database.query)
  ).rows;
  await refused(await wishOf(secret, { name }), { reason: 'host_join_name_taken', fields: { name } });
  await refused(await wishOf(secret, { hostPort: 1 }), { reason: 'host_join_address_not_reached' });
  // Another machine has the address.
  await refused(await wishOf(secret, { word: 'cd'.repeat(16) }), { reason: 'host_join_address_not_reached' });
  const holder = newOrderedId();
  await sql`insert into host (id, name, facts) values (${holder}, 'holder', '{"url": "https://127.0.0.1:8444"}')`.execute(
    db.database.query,
  );
  const taken = { reason: 'host_join_address_taken', fields: { address: '127.0.0.1', host: holder } };
  await refused(await wishOf(secret), taken);
  await sql`delete from host where id = ${holder}`.execute(db.database.query);
  assert.equal(signed, signedBefore);
  await joins.join(await wishOf(secret));
});

test("a token that is used gives no certificate for an address that is not the machine's", async () => {
  const wish = await wishOf(await issue());
  const made = await joins.join(wish);
  const signedBefore = signed;
  // Whoever has token and key, from another machine or for another address: nobody there says the word.
  const elsewhere = { ...wish, word: 'cd'.repeat(16) };
  await refused(elsewhere, { reason: 'host_join_address_not_reached' });
  await refused({ ...wish, address: '127.0.0.9' }, { reason: 'host_join_address_not_reached' });
  const holder = newOrderedId();
  await sql`insert into host (id, name, facts) values (${holder}, ${holder}, '{"url": "https://127.0.0.1:8444"}')`.execute(
    db.database.query,
  );
  await refused(wish, { reason: 'host_join_address_taken' });
  await sql`delete from host where id = ${holder}`.execute(db.database.query);
  assert.equal(signed, signedBefore);
  assert.equal((await joins.join(wish)).hostId, made.hostId);
});

test('a host renews its certificate while it is known', async () => {
  const csr = await certificateRequestOf(keys[0]!);
  const { hostId } = await joins.join(await wishOf(await issue()));
  assert.match((await joins.renew(hostId, { csr, addresses: [] })).certificate, /BEGIN CERTIFICATE/);
  await sql`delete from host where id = ${hostId}`.execute(db.database.query);
  await assert.rejects(joins.renew(hostId, { csr, addresses: [] }), { code: 'not_found', reason: 'host_not_found' });
});

test('administrators make, list and take back tokens; no secret is in the database or its log', async () => {
  const member = testCaller(['member']);
  await assert.rejects(tokens.create(member, {}), { code: 'forbidden' });
  await assert.rejects(tokens.list(member), { code: 'forbidden' });
  const { token, text } = await tokens.create(admin, {});
  const { secret } = parseToken(text)!;
  await tokens.remove(admin, token.id);
  await assert.rejects(tokens.remove(admin, token.id), { reason: 'host_token_not_found' });
  await refused(await wishOf(secret), { reason: 'host_token_refused', fields: { why: 'unknown', name: null } });
  const { rows } = await sql<{ body: object }>`select body from change where resource_type = 'host_token'`.execute(
    db.database.query,
  );
  assert.ok(rows.length > 2);
  assert.doesNotMatch(JSON.stringify(rows), /sha256/);
  assert.equal(parseToken(`${text}x`), undefined);
});

test('who has a token is told where tunnels of hosts end that are there, and uses it up by nothing of that', async () => {
  const [there, away] = [newOrderedId(), newOrderedId()];
  const facts = (address: string) => JSON.stringify({ tunnels: { address, mtu: 1500 } });
  await sql`insert into host (id, name, connected, facts) values
    (${there}, ${`there ${there}`}, true, ${facts('10.9.0.1')}::jsonb), (${away}, ${`away ${away}`}, false, ${facts('10.9.0.2')}::jsonb)`.execute(
    db.database.query,
  );
  const secret = await issue();
  const wish = { secret, name: `tries ${there}` };
  assert.deepEqual(await joins.tunnels(wish), [{ host: `there ${there}`, address: '10.9.0.1', mtu: 1500 }]);
  assert.deepEqual(await joins.tunnels(wish), await joins.tunnels(wish));
  assert.deepEqual(await joins.tunnels({ ...wish, secret: new Secret('no such') }), []);
  await sql`delete from host where id in (${there}, ${away})`.execute(db.database.query);
});
