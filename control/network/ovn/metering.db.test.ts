import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { TestCloud } from '../../../test/simulated/ovn-cloud.ts';
import { testDatabase, testProject } from '../../kit/database/testing.ts';
import { HostSet } from './intent/gateway.ts';
import { expand, loadModel } from './load.ts';
import { unit } from './units.ts';
import { Touched, touch } from './wakes.ts';

test('a label that changes touches the routers that it counts on, and they know what its rules name', async () => {
  await using db = await testDatabase();
  const cloud = new TestCloud(db.database);
  const [own, others] = [await cloud.router(), await cloud.router()];
  const stranger = newId();
  await testProject(db.database, stranger);
  await cloud.run(sql`update router set project_id = ${stranger} where id = ${others}`);
  const label = async (over: object) => {
    const id = await cloud.insert('metering_label', { id: newId(), ...over });
    const rule = { id: newId(), metering_label_id: id, direction: 'ingress' };
    await cloud.insert('metering_label_rule', { ...rule, remote_ip_prefix: '10.0.0.7/24' });
    return id;
  };
  await label({ project_id: cloud.project });
  const touches = (body: object) => {
    const touched = new Touched();
    touch(touched, { resource_type: 'metering_label', resource_id: newId(), action: 'updated', body: { ...body } });
    return expand(db.database.query, touched);
  };
  assert.deepEqual(await touches({ project_id: cloud.project, shared: false }), new Set([unit('router', own)]));
  const everybody = new Set([unit('router', own), unit('router', others)]);
  assert.deepEqual(await touches({ project_id: cloud.project, shared: true }), everybody);
  const metered = async (router: string) =>
    (await loadModel(db.database.query, [...everybody], new HostSet([]))).routers.get(router)!.metered;
  const named = { direction: 'ingress', source: '0.0.0.0/0', destination: '10.0.0.0/24' };
  assert.deepEqual([await metered(own), await metered(others)], [[named], []]);
  await label({ project_id: cloud.project, shared: true });
  assert.deepEqual([await metered(own), await metered(others)], [[named, named], [named]]);
  // What the trigger says is what is looked at.
  const { rows } = await sql<{ body: { shared: unknown; project_id: unknown } }>`select body from change
    where resource_type = 'metering_label' order by sequence desc limit 1`.execute(db.database.query);
  assert.deepEqual(
    rows.map(({ body }) => [body.shared, body.project_id]),
    [[true, cloud.project]],
  );
});
