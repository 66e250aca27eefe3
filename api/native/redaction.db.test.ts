/** What a tenant reads of a server, an image and their operations names no host, and no host's reason. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { firstPosition, readChanges } from '../../control/kit/change-log/changes.ts';
import { readOperations } from '../../control/kit/operation/read-operations.ts';
import { type ComputeApi, computeApi } from '../openstack/compute/testing.ts';
import { changeDocument, filterFor } from './change-query.ts';

const secret = 'rack-7-host-小屋';
let api: ComputeApi;
before(async () => {
  api = await computeApi();
});
after(() => api[Symbol.asyncDispose]());

/** Everything of the project that a member's token can read about servers and operations. */
async function readAll(ids: readonly string[]): Promise<string> {
  const { member, database } = api.cloud;
  const { query } = database;
  const parts: unknown[] = [];
  for (const version of [1, 58, 84, 90, 96]) {
    parts.push((await api.call(member, 'GET', '/servers/detail', { version })).body);
    for (const id of ids) {
      parts.push((await api.call(member, 'GET', `/servers/${id}`, { version })).body);
      const actions = (await api.call(member, 'GET', `/servers/${id}/os-instance-actions`, { version })).body;
      parts.push(actions);
      for (const { request_id } of actions.instanceActions ?? []) {
        parts.push(
          (await api.call(member, 'GET', `/servers/${id}/os-instance-actions/${request_id}`, { version })).body,
        );
      }
    }
  }
  const filter = filterFor(member, { allProjects: false, types: null });
  const { changes } = await readChanges(query, { ...filter, after: await firstPosition(query), limit: 1000 });
  parts.push(changes.map((change) => changeDocument(member, change)));
  const operations = await readOperations(query, { projectId: api.cloud.projectId, limit: 1000 });
  parts.push(operations.map(({ owner: _, ...operation }) => operation));
  return JSON.stringify(parts);
}

test('no host name, host id, path of a host or count of hosts reaches a member through any form', async () => {
  const { cloud } = api;
  const { member, database } = cloud;
  const small = await cloud.addHost({ name: secret, vcpus: 1, memoryMiB: 256 });
  const other = await cloud.addHost({ name: `${secret}-2`, connected: false });
  const flavor = await cloud.addFlavor({ vcpus: 8, memoryMiB: 4096 });
  const make = async (flavorId: string): Promise<ServerId> =>
    (await cloud.service.create(member, cloud.wish({ flavor: flavorId }))).ids[0]!;
  const refused = await make(flavor);
  await cloud.controller.reconcile(refused);
  const failed = await make(await cloud.addFlavor({ vcpus: 1, memoryMiB: 128 }));
  await cloud.controller.reconcile(failed);
  const message = `spawn /usr/bin/qemu ENOENT in /var/lib/bothy/${secret} on ${small}`;
  await cloud.report(small, failed, { state: 'failed', error: { code: 'internal', message } });

  const seen = await readAll([refused, failed]);
  assert.match(seen, /Use a flavor/, 'it does say why');
  assert.match(seen, /could not run the server/);
  for (const leak of [secret, small, other, '/var/lib', '/usr/bin', 'of 2 hosts', 'too_few', 'disconnected']) {
    assert.ok(
      !seen.includes(leak),
      `${leak}: …${seen.slice(Math.max(0, seen.indexOf(leak) - 200), seen.indexOf(leak) + 80)}…`,
    );
  }
  const { rows } = await sql<{
    fault: { details: string };
  }>`select fault from server where id = any(${[refused, failed]}::uuid[])
    order by id`.execute(database.query);
  assert.ok(
    rows.every(({ fault }) => fault.details.includes(secret)),
    'an administrator finds it in the details',
  );
});
