/** A lab (ovn-lab.ts) whose northbound database the projection keeps, from a database of its own, and the cloud's rows in it. */
import { pino } from 'pino';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { type TestDatabase, testDatabase } from '../../control/kit/database/testing.ts';
import { Projector } from '../../control/network/ovn/index.ts';
import { TestCloud } from '../simulated/ovn-cloud.ts';
import { OvnLab } from './ovn-lab.ts';

export interface ProjectedLab extends AsyncDisposable {
  lab: OvnLab;
  db: TestDatabase;
  projector: Projector;
  cloud: TestCloud;
}

/** @param host the id of the one host, which has these physical networks */
export async function projectedLab(host: string, physicalNetworks: string[]): Promise<ProjectedLab> {
  const log = pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' });
  await using stack = new AsyncDisposableStack();
  const db = stack.use(await testDatabase());
  const lab = new OvnLab();
  stack.defer(() => lab.close());
  await lab.start(host);
  const feed = new ChangeFeed({ database: db.database, url: db.url, log });
  stack.defer(() => feed.stop());
  await feed.start();
  // What is tried inside runs while this process stands still, some of it for longer than a lease.
  const leaseTiming = { leaseMs: 120_000 };
  const northbound = { target: lab.northbound };
  const projector = new Projector({ database: db.database, feed, log, northbound, leaseTiming });
  stack.defer(() => projector.stop());
  projector.start();
  const cloud = new TestCloud(db.database);
  await lab.until('the projector is connected', () => projector.status().connected);
  await cloud.host(physicalNetworks, host);
  const owned = stack.move();
  return { lab, db, projector, cloud, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
