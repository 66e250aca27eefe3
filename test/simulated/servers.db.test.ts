/** A whole simulated cloud: what a user sees of a server's life. */
import { after, before, test } from 'node:test';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { assertInOrder, createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2 });
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

test('a server becomes ACTIVE with one QEMU and its port up, and leaves nothing behind', async () => {
  const id = await createServer(tenancy, '小屋 🏔 "x"; drop');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await assertInOrder(cloud, [id]);
  await deleteServer(cloud, tenancy, id);
  await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
});
