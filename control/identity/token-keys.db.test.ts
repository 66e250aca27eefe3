/** The keys that sign tokens, in the database and out of it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { type TestDatabase, testDatabase } from '../kit/database/testing.ts';
import { Sealer } from './sealing.ts';
import { TokenKeys } from './token-keys.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
beforeEach(() => sql`delete from token_key`.execute(db.database.query));
after(() => db[Symbol.asyncDispose]());

const sealerOf = (...keys: Buffer[]) => new Sealer(keys.map((key) => new Secret(key)));
const [own, another] = [randomBytes(32), randomBytes(32)];
const keysOf = (sealer: Sealer) => new TokenKeys({ database: db.database, sealer, lifetimeMs: 1000 });
const stored = async () => {
  const { rows } = await sql<{
    id: string;
    secret: Buffer;
  }>`select id, secret from token_key order by created_at`.execute(db.database.query);
  return rows;
};

test('a copy of the database alone signs no token', async () => {
  const { id, secret } = await keysOf(sealerOf(own)).signing();
  const [row] = await stored();
  assert.ok(!row!.secret.includes(secret) && !row!.secret.toString('latin1').includes(secret.toString('hex')));
  assert.equal(await keysOf(sealerOf(another)).find(id), undefined);
  assert.deepEqual((await keysOf(sealerOf(another, own)).find(id))?.secret, secret);
});

test('where what seals them is lost another key is made, once', async () => {
  const { id } = await keysOf(sealerOf(own)).signing();
  const signing = await Promise.all([1, 2, 3].map(() => keysOf(sealerOf(another)).signing()));
  assert.deepEqual(new Set(signing.map((key) => key.id)).size, 1);
  assert.notEqual(signing[0]!.id, id);
});

test('a key that a release before has left in the clear is sealed, and its tokens go on', async () => {
  const { id, secret } = await keysOf(sealerOf()).signing();
  assert.deepEqual((await stored())[0]!.secret, secret);
  assert.deepEqual(
    await keysOf(sealerOf(own))
      .find(id)
      .then((key) => key?.secret),
    secret,
  );
  assert.ok(!(await stored())[0]!.secret.includes(secret));
  assert.equal((await keysOf(sealerOf(own)).signing()).id, id);
});

test('beside a control of a release that does not seal them keys stay as it knows them, until it is gone', async () => {
  const old = newId();
  await sql`insert into control_process (id, machine, url, version, started_at, seen_at)
    select ${old}, 'old', '', '1', at - interval '1 day', clock_timestamp() from migration where name = '1120-quarantine-bytes'`.execute(
    db.database.query,
  );
  const { id, secret } = await keysOf(sealerOf()).signing();
  const fresh = keysOf(sealerOf(own));
  assert.deepEqual((await fresh.signing()).secret, secret);
  await fresh.rotate();
  const made = await fresh.signing();
  assert.deepEqual(
    (await stored()).map((row) => row.secret),
    [secret, made.secret],
    'what it reads it can sign with',
  );
  await sql`update control_process set seen_at = now() - interval '2 minutes' where id = ${old}`.execute(
    db.database.query,
  );
  assert.deepEqual((await keysOf(sealerOf(own)).find(id))?.secret, secret);
  assert.ok((await stored()).every((row) => row.secret.length > secret.length));
  await sql`delete from control_process where id = ${old}`.execute(db.database.query);
});
