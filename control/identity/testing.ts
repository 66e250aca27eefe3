/** Identity over a fresh test database, with a cheap password cost. Tests only. */

import pino from 'pino';
import { Secret } from '../../contract/secret.ts';
import { ChangeFeed } from '../kit/change-log/changes.ts';
import { type TestDatabase, testDatabase } from '../kit/database/testing.ts';
import { resources } from '../resources.ts';
import { bootstrapIdentity } from './bootstrap.ts';
import type { CatalogueEntry } from './catalogue.ts';
import type { IdentityOptions } from './options.ts';
import { PasswordHasher } from './password.ts';
import { Sealer, sealingKeyBytes } from './sealing.ts';
import { IdentityService } from './service.ts';

export const adminPassword = new Secret('the first administrator of the tests');
const testRegion = 'RegionOne';
export const testUrl = 'https://cloud.test:8443';
const testCatalogue: CatalogueEntry[] = [
  { type: 'identity', name: 'keystone', path: '/identity' },
  { type: 'compute', name: 'nova', path: '/compute/v2.1' },
  { type: 'volumev3', name: 'cinderv3', path: '/volume/v3/{project_id}' },
];
const silent = pino({ level: 'silent' });

export const cheapPasswords = (): PasswordHasher =>
  new PasswordHasher({ cost: { memoryKiB: 64, passes: 1, parallelism: 1 } });

export interface TestIdentity extends AsyncDisposable {
  db: TestDatabase;
  identity: IdentityService;
  feed: ChangeFeed;
  /** One more control process's identity over the same database. */
  another(options?: Partial<IdentityOptions>): Promise<{ identity: IdentityService; feed: ChangeFeed }>;
}

const testSealingKeys = [new Secret(Buffer.alloc(sealingKeyBytes, 'tests'))];
export const testSealer = new Sealer(testSealingKeys);

export async function testIdentity(options: Partial<IdentityOptions> = {}): Promise<TestIdentity> {
  const db = await testDatabase();
  const stops: (() => Promise<void>)[] = [];
  const another = async (over: Partial<IdentityOptions> = {}) => {
    const feed = new ChangeFeed({ database: db.database, url: db.url, log: silent });
    await feed.start();
    const identity = new IdentityService({
      database: db.database,
      feed,
      log: silent,
      region: testRegion,
      publicUrl: testUrl,
      catalogue: testCatalogue,
      resources,
      passwords: cheapPasswords(),
      sealingKeys: testSealingKeys,
      ...over,
    });
    await identity.start();
    stops.push(async () => {
      await identity.stop();
      await feed.stop();
    });
    return { identity, feed };
  };
  await bootstrapIdentity(db.database, { adminPassword, passwords: cheapPasswords() });
  const first = await another(options);
  return {
    db,
    ...first,
    another,
    async [Symbol.asyncDispose]() {
      for (const stop of stops) await stop();
      await db[Symbol.asyncDispose]();
    },
  };
}
