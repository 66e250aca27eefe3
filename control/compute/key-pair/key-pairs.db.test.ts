/** Who waits for whose keys to be made. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { testCaller } from '../../../test/support/callers.ts';
import { until } from '../../../test/support/until.ts';
import { type TestDatabase, testDatabase, testProject, testUser } from '../../kit/database/testing.ts';
import { KeyPairService } from './index.ts';
import { generateSshKey } from './ssh-key.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

async function person() {
  const [userId, projectId] = [await testUser(db.database), await testProject(db.database)];
  return { ...testCaller(['member'], projectId), userId };
}

test('pairs are made one at a time, and one of each user in turn', async () => {
  const [crowd, other] = [await person(), await person()];
  const made: string[] = [];
  const ends: (() => void)[] = [];
  const service = new KeyPairService({
    database: db.database,
    async generate(_type, userId) {
      made.push(userId);
      await new Promise<void>((end) => ends.push(end));
      return generateSshKey();
    },
  });
  const wish = (number: number) => ({ name: `${number}`, type: 'ssh', publicKey: null }) as const;
  const all = [1, 2, 3].map((number) => service.create(crowd, wish(number)));
  await until('the first to be made', () => made.length === 1);
  all.push(service.create(other, wish(4)));
  for (let number = 1; number <= 4; number++) {
    await until('the next to be made', () => made.length === number);
    assert.equal(made.length, number, 'and no more');
    ends[number - 1]!();
  }
  await Promise.all(all);
  assert.ok(made.indexOf(other.userId) < 3, 'before the last of the crowd');
});

test('for who has all pairs that they may have, none is made', async () => {
  const one = await person();
  await sql`insert into quota (id, project_id, resource, maximum) values (${newId()}, ${one.projectId}, 'key_pairs', 0)`.execute(
    db.database.query,
  );
  const service = new KeyPairService({
    database: db.database,
    generate: () => assert.fail('it was made'),
  });
  await assert.rejects(service.create(one, { name: 'x', type: 'ssh', publicKey: null }), { code: 'quota_exceeded' });
});
