/** The native dialect over a test database, and what its routes of hosts are made with. Tests only. */

import { randomBytes } from 'node:crypto';
import { newId, newOrderedId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { HypervisorService } from '../../control/compute/hypervisor/index.ts';
import { MaintenanceService } from '../../control/compute/maintenance/index.ts';
import { BmcService } from '../../control/compute/power/index.ts';
import { HostTokenService, type JoinOptions, JoinService } from '../../control/host/token/index.ts';
import { Sealer } from '../../control/identity/index.ts';
import type { TestIdentity } from '../../control/identity/testing.ts';
import type { Database } from '../../control/kit/database/database.ts';
import { MeterService } from '../../control/network/meter/index.ts';
import { ReachabilityService } from '../../control/network/reachability/index.ts';
import { ReachabilityAssertionService } from '../../control/network/reachability-assertion/index.ts';
import { StoragePoolService } from '../../control/storage/pool/index.ts';
import { testAuthority } from '../../test/support/certificates.ts';
import { type TestApi, testApi } from '../openstack/identity/testing.ts';
import type { NativeDeps } from './deps.ts';
import type { HostsDeps } from './hosts.ts';
import { nativeDialect } from './index.ts';

const { ca: rootOfNobody } = await testAuthority();

/** @param certify who signs; absent: nobody can be asked */
export function testHosts(
  { database }: { database: Database },
  { ca = rootOfNobody, certify = refuse }: { ca?: string; certify?: JoinOptions['client']['certify'] } = {},
): HostsDeps {
  const [cloudId, version] = [newId(), '0.1.0'];
  const authority = { id: newOrderedId(), url: '' } as JoinOptions['authority'];
  return {
    tokens: new HostTokenService({ database, ca }),
    joins: new JoinService({ database, client: { certify }, authority, cloudId, version, southboundPort: 6642 }),
    hypervisors: new HypervisorService({ database }),
    maintenance: new MaintenanceService({ database }),
    ...{ cloudId, ca, version },
  };
}

/** Passwords are sealed with a key that ends with the process. */
const testBmcs = ({ database }: { database: Database }): BmcService =>
  new BmcService({ database, sealer: new Sealer([new Secret(randomBytes(32))]) });

const refuse = async () => {
  throw new Error('there is no authority in this test');
};

/** What it is made with. */
export const nativeDeps = ({ identity, feed, db }: TestIdentity): NativeDeps => ({
  ...{ identity, feed, database: db.database, pools: new StoragePoolService(db), bmcs: testBmcs(db) },
  hosts: testHosts(db),
  meters: new MeterService(db),
  reachability: new ReachabilityService(db),
  reachabilityAssertions: new ReachabilityAssertionService(db),
});

export const nativeApi = (): Promise<TestApi> => testApi({ dialects: (cloud) => [nativeDialect(nativeDeps(cloud))] });
