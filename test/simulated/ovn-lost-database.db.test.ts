/** The truth is lost, the northbound database is not: nobody loses the network before an administrator has decided. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { cloudActor } from '../../control/kit/database/database.ts';
import { accountIncarnation, currentIncarnation, renewIncarnation } from '../../control/kit/database/incarnation.ts';
import { dump } from '../../control/network/ovn/testing/memory-northbound.ts';
import { type OvnBench, ovnBench, settled, smallCloud, until } from './ovn-bench.ts';

const walked = async (b: OvnBench, projector = b.projector) => {
  const before = projector.status().lastFullPass;
  await until('everything was gone through', () => projector.status().lastFullPass !== before);
};

/** All of it is gone without a change that says so, as from a database that never knew it. */
async function loseTruth(b: OvnBench): Promise<void> {
  const { id } = await currentIncarnation(b.db.database.query);
  // Before the rows go: a pass in between would see them gone in the history that it follows. One that has begun ends first; where a
  // database is really lost it ends with its connection.
  await renewIncarnation(b.db.database, id, 'of this test');
  for (let ended = 0; ended < 2; ended++) await walked(b);
  await b.db.database.transaction(cloudActor, async (tx) => {
    await sql`set local session_replication_role = replica`.execute(tx);
    for (const table of ['floating_ip', 'port_security_group', 'port_ip', 'port', 'router', 'security_group_rule']) {
      await sql`delete from ${sql.table(table)}`.execute(tx);
    }
    for (const table of ['security_group', 'subnet', 'segment', 'network'])
      await sql`delete from ${sql.table(table)}`.execute(tx);
  });
}

test('what a lost database no longer names stays on the network until it is decided on, and goes then', async () => {
  await using b = await ovnBench({ fullPassMs: 50 });
  await until('it leads', () => b.projector.status().connected);
  const ids = await smallCloud(b);
  await settled(b);
  await walked(b);
  await until('nothing to wait', () => b.projector.status().pending === 0);
  const before = dump(b.nb);
  await loseTruth(b);
  await until('it is kept', () => b.projector.status().kept > 0);
  await b.projector.stop();
  const projector = b.project();
  await until('another one leads', () => projector.status().connected);
  await walked(b, projector);
  assert.deepEqual(dump(b.nb), before);
  assert.ok(projector.status().kept >= 5);

  await b.cloud.run(sql`delete from host`);
  await b.cloud.host(['physnet1'], ids.host);
  const network = await b.cloud.network({ id: ids.net });
  await b.cloud.run(sql`delete from network where id = ${network}`);
  const named = (id: string) => b.rows('Logical_Switch').some(({ name }) => String(name).endsWith(id));
  await until('what a change says is deleted to be gone', () => !named(ids.net));
  assert.ok(named(ids.ext));
  assert.equal(b.rows('Logical_Router').length, 1, 'a host that came touched no router that is kept');

  await b.db.database.transaction(cloudActor, accountIncarnation);
  await until('the rest to be gone', () => b.rows('Logical_Switch').length + b.rows('Logical_Router').length === 0);
  await until('nothing to be kept', () => projector.status().kept === 0);
});

test('a northbound database that is lost too follows the new history at once', async () => {
  await using b = await ovnBench({ fullPassMs: 50 });
  await until('it leads', () => b.projector.status().connected);
  await smallCloud(b);
  await settled(b);
  await loseTruth(b);
  await b.restartServer(() => {
    b.nb.edit((tx) => {
      for (const table of ['Logical_Switch', 'Logical_Router', 'Port_Group', 'DHCP_Options', 'NB_Global']) {
        tx.delete(table, []);
      }
    });
  });
  const projector = b.projector;
  await walked(b, projector);
  await until('nothing to be kept', () => projector.status().kept === 0 && projector.status().connected);
  const other = await b.cloud.network({});
  await b.cloud.run(sql`delete from network where id = ${other}`);
  await until('it to be empty', () => b.rows('Logical_Switch').length === 0);
});
