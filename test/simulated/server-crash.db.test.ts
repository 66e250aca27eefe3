/**
 * Create and delete of a server with control or host killed after each step and started again: the same end. Control
 * is killed after its controller's steps and, finer, after the n-th statement that it sent to the database, whose
 * answer it never sees; the host after each step that its reconciler takes.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ServerId } from '../../contract/ids.ts';
import { partOf } from '../support/part-of.ts';
import { SimulatedCloud, type SimulatedControl } from '../support/simulated-cloud.ts';
import {
  assertInOrder,
  createServer,
  deleteServer,
  makeTenancy,
  reaches,
  serverBody,
  type Tenancy,
} from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
/** The control that shall die. */
let doomed: SimulatedControl | undefined;
before(async () => {
  cloud = await SimulatedCloud.start();
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

async function running(name: string): Promise<ServerId> {
  const id = await createServer(tenancy, name);
  await reaches(cloud, tenancy, id, 'ACTIVE');
  return id;
}

async function gone(id: ServerId): Promise<void> {
  await deleteServer(cloud, tenancy, id);
  await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
}

describe('control dies', () => {
  for (const step of partOf(['looked', 'placed'], 1)) {
    test(`creating, after its step '${step}'`, async () => {
      await controlThatDiesAfter(step);
      const id = await createSurely(`control ${step}`);
      await diedAndReplaced();
      await reaches(cloud, tenancy, id, 'ACTIVE');
      await assertInOrder(cloud, [id]);
      await gone(id);
    });
  }

  for (const step of partOf(['looked', 'removed'], 1)) {
    test(`deleting, after its step '${step}'`, async () => {
      const id = await running(`control ${step}`);
      await controlThatDiesAfter(step);
      await tenancy.client.call('DELETE', 'compute', `/servers/${id}`).catch(() => {});
      await diedAndReplaced();
      await gone(id);
    });
  }

  // A create sends some fifty until the operation is closed, a delete some sixty.
  for (const statement of partOf([2, 5, 8, 11, 14, 17, 21, 26, 31, 36, 41, 46], 3)) {
    test(`creating, after statement ${statement}`, async () => {
      dieAfterStatement(statement);
      const id = await createSurely(`statement ${statement}`);
      await diedAndReplaced();
      await reaches(cloud, tenancy, id, 'ACTIVE');
      await assertInOrder(cloud, [id]);
      await gone(id);
    });
  }

  for (const statement of partOf([2, 4, 6, 9, 13, 18, 25, 34, 45], 2)) {
    test(`deleting, after statement ${statement}`, async () => {
      const id = await running(`statement ${statement}`);
      dieAfterStatement(statement);
      await tenancy.client.call('DELETE', 'compute', `/servers/${id}`).catch(() => {});
      await diedAndReplaced();
      await gone(id);
    });
  }
});

const creating = ['record-disk', 'make-disk', 'prepare-launch', 'record-launch', 'spawn', 'launch', 'note-running'];
const deleting = ['take-back-running', 'quit', 'remove-ports', 'unplug', 'remove-disk', 'erase'];

describe('the host dies', () => {
  test('the steps below are those that it takes', async () => {
    const [host] = cloud.hosts;
    host!.steps.length = 0;
    const id = await running('steps');
    assert.deepEqual(host!.steps, creating);
    host!.steps.length = 0;
    await gone(id);
    assert.deepEqual(host!.steps, deleting);
  });

  for (const step of partOf(creating, 2)) {
    test(`creating, after '${step}'`, async () => {
      const [host] = cloud.hosts;
      host!.dieAfter = step;
      const id = await createServer(tenancy, `host ${step}`);
      await cloud.until('the host to die', () => !host!.running);
      await host!.start();
      await reaches(cloud, tenancy, id, 'ACTIVE');
      await assertInOrder(cloud, [id]);
      await gone(id);
    });
  }

  for (const step of partOf(deleting, 2)) {
    test(`deleting, after '${step}'`, async () => {
      const [host] = cloud.hosts;
      const id = await running(`host ${step}`);
      host!.dieAfter = step;
      await tenancy.client.call('DELETE', 'compute', `/servers/${id}`);
      await cloud.until('the host to die', () => !host!.running);
      await host!.start();
      await gone(id);
    });
  }
});

/** Replaces control by one that dies when it has taken the step. */
async function controlThatDiesAfter(step: string): Promise<void> {
  await cloud.control.stop();
  const control = await cloud.startControl({
    hooks: {
      afterServerStep(reached) {
        if (reached !== step || !control.alive) return;
        control.kill();
        throw new Error(`died after '${step}'`);
      },
    },
  });
  doomed = control;
  await cloud.until('the host to be back', async () => (await cloud.connectedHosts()) === 1);
}

function dieAfterStatement(statement: number): void {
  const { control } = cloud;
  doomed = control;
  let sent = 0;
  control.databaseWire.onSent = () => {
    if (++sent === statement) control.kill();
  };
}

/** Waits for the death that was arranged, at most a moment: a quiet control may not come to that many statements. */
async function diedAndReplaced(): Promise<void> {
  if (!doomed) return;
  const control = doomed;
  doomed = undefined;
  await cloud.until('control to die', () => !control.alive, 2000).catch(() => {});
  control.kill();
  await cloud.startControl();
}

/** As a careful client: an answer that never came is looked for before it is asked for again. */
async function createSurely(name: string): Promise<ServerId> {
  try {
    return await createServer(tenancy, name);
  } catch {
    await diedAndReplaced();
    const body = await tenancy.client.must('GET', 'compute', `/servers?name=${encodeURIComponent(name)}`);
    if (body.servers.length > 0) return body.servers[0].id;
    return (await tenancy.client.must('POST', 'compute', '/servers', serverBody(tenancy, name))).server.id;
  }
}
