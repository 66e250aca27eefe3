/** Who may say that a host shall be empty, and what comes back when that ends. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId } from '../../../contract/ids.ts';
import { operator } from '../../kit/caller.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { HypervisorService } from '../hypervisor/index.ts';
import { type ServerCloud, serverCloud } from '../server/testing.ts';
import { beginMaintenance, endMaintenance, MaintenanceService, type MaintenanceWish } from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let service: MaintenanceService;
let hypervisors: HypervisorService;
let id: HostId;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  service = new MaintenanceService(cloud);
  hypervisors = new HypervisorService({ database: cloud.database });
});
after(() => db[Symbol.asyncDispose]());
beforeEach(async () => {
  id = await cloud.addHost();
});

const begin = (wish: Partial<MaintenanceWish> = {}) =>
  db.database.transaction(cloudActor, (tx) =>
    beginMaintenance(tx, id, { cause: 'administrator', reason: null, ...wish }),
  );
const end = (...choice: [] | [Parameters<typeof endMaintenance>[2]]) =>
  db.database.transaction(cloudActor, (tx) => endMaintenance(tx, id, ...choice));
async function word() {
  const { enabled, disabled_reason: reason } = await hypervisors.host(cloud.admin, id);
  return [enabled, reason];
}
const cause = async () => (await service.show(cloud.admin, id))?.cause;

test('a host that was closed before is closed again afterwards, by whose word and for the reason that it was', async () => {
  await hypervisors.say(cloud.admin, id, { open: { enabled: false, reason: 'noisy fan' } });
  const { rows } = await sql<{ by: object }>`select disabled_by as by from host where id = ${id}`.execute(
    cloud.database.query,
  );
  await begin({ reason: 'new fan' });
  await begin({ reason: 'new fan, tomorrow' });
  assert.deepEqual(await word(), [false, 'maintenance: new fan, tomorrow']);
  assert.equal(await end(), true);
  assert.equal(await end(), false);
  assert.deepEqual(await word(), [false, 'noisy fan']);
  const now = await sql<{ by: object }>`select disabled_by as by from host where id = ${id}`.execute(
    cloud.database.query,
  );
  assert.deepEqual(now.rows, rows);
});

test('what is said of new servers meanwhile holds from the end on, and opening it is refused', async () => {
  await begin();
  await assert.rejects(hypervisors.say(cloud.admin, id, { open: { enabled: true, reason: null } }), {
    reason: 'host_in_maintenance',
  });
  await hypervisors.say(cloud.admin, id, { open: { enabled: false, reason: 'stays so' } });
  assert.deepEqual(await word(), [false, 'maintenance']);
  await end();
  assert.deepEqual(await word(), [false, 'stays so']);
  await hypervisors.say(cloud.admin, id, { open: { enabled: true, reason: null } });
  await begin();
  await end();
  assert.deepEqual(await word(), [true, null]);
});

test('a person goes before a machine: its word replaces theirs, which never replaces a person’s', async () => {
  await begin({ cause: 'consolidation' });
  await begin({ cause: 'shutdown', reason: 'shutdown', bootId: 'a' });
  assert.equal(await cause(), 'consolidation');
  await begin();
  assert.equal(await cause(), 'administrator');
  await begin({ cause: 'shutdown', bootId: 'a' });
  assert.equal(await end({ cause: 'shutdown' }), false);
  assert.equal(await cause(), 'administrator');
});

test('a machine that has started again ends what its shutdown asked for, and not what the next shutdown asks for', async () => {
  await service.beginOwn(id, { cause: 'shutdown', bootId: 'a' });
  await service.endOwn(id, { shutdownOnly: true, exceptBootId: 'a' });
  assert.equal(await cause(), 'shutdown');
  await service.endOwn(id, { shutdownOnly: true, exceptBootId: 'b' });
  assert.equal(await cause(), undefined);
});

test('a host without servers is empty at once; one that there is not is not found, and members are refused', async () => {
  const { name } = await hypervisors.host(cloud.admin, id);
  const found = await service.begin(operator, name, { reason: null });
  assert.deepEqual([found.state, found.left, found.by?.user_name], ['drained', 0, 'root']);
  await service.end(operator, name);
  const none = { code: 'not_found', reason: 'host_not_found' };
  for (const other of [newId(), 'no such host']) {
    await assert.rejects(service.begin(cloud.admin, other, { reason: null }), none);
    await assert.rejects(service.show(cloud.admin, other), none);
    await assert.rejects(service.end(cloud.admin, other), none);
  }
  for (const call of [service.show(cloud.member, id), service.end(cloud.member, id)])
    await assert.rejects(call, { code: 'forbidden' });
});
