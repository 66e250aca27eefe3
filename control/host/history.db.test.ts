/** What a host remembers, over real rows. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { type HostId, newId } from '../../contract/ids.ts';
import { testSealer } from '../identity/testing.ts';
import { shortOf } from '../kit/change-log/position.ts';
import { settleIncarnation } from '../kit/database/incarnation.ts';
import { testDatabase } from '../kit/database/testing.ts';
import { DatabaseHistory } from './history.ts';

test('of proofs that the database went back one a minute counts, by its own clock', async (t) => {
  await using db = await testDatabase();
  const { database } = db;
  await sql`insert into cloud (id, region) values (${newId()}, 'here')`.execute(database.query);
  const history = new DatabaseHistory({ database, sealer: testSealer, log: pino({ level: 'silent' }) });
  const incarnation = async () => (await settleIncarnation(database)).id;
  /** A host was told of a change that the database has not made. */
  const prove = async () => {
    const id = await incarnation();
    const never = '4000000000000.7.1790000000000';
    const mark = testSealer.mark(`${shortOf(id)} ${never}`, 'what hosts remember of the change log');
    await history.check(newId<HostId>(), { incarnation: id, position: `${never}.${mark}` });
    return id !== (await incarnation());
  };
  const begun = (ago: string) =>
    sql`update cloud set incarnation_at = now() - ${ago}::interval, incarnation_place =
      (select system_identifier::text from pg_control_system()) || '/' || (select oid from pg_database where datname = current_database())
      || '/' || pg_current_xact_id()::xid::text`.execute(database.query);
  t.after(() => mock.timers.reset());
  for (const clock of [-7200, 0, 7200]) {
    mock.timers.enable({ apis: ['Date'], now: Date.now() + clock * 1000 });
    await begun('1 hour');
    assert.equal(await prove(), true, `${clock} s from the database's clock`);
    assert.equal(await prove(), false, `${clock} s from the database's clock, once more`);
    mock.timers.reset();
  }
});
