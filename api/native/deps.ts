/** What the routes of the native dialect are made with. */

import type { ConsolidationService } from '../../control/compute/consolidation/index.ts';
import type { BmcService, WattsService } from '../../control/compute/power/index.ts';
import type { RebalanceService } from '../../control/compute/rebalance/index.ts';
import type { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import type { Database } from '../../control/kit/database/database.ts';
import type { MeterService } from '../../control/network/meter/index.ts';
import type { ReachabilityService } from '../../control/network/reachability/index.ts';
import type { ReachabilityAssertionService } from '../../control/network/reachability-assertion/index.ts';
import type { StoragePoolService } from '../../control/storage/pool/index.ts';
import type { NativeAuthenticator } from './caller.ts';
import type { HostsDeps } from './hosts.ts';

export interface NativeDeps {
  identity: NativeAuthenticator;
  database: Database;
  hosts: HostsDeps;
  bmcs: BmcService;
  pools: StoragePoolService;
  /** Absent: as where nothing is set (tests). */
  rebalance?: RebalanceService;
  consolidation?: ConsolidationService;
  watts?: WattsService;
  reachability: ReachabilityService;
  reachabilityAssertions: ReachabilityAssertionService;
  meters: Pick<MeterService, 'list' | 'read'>;
  feed: Pick<ChangeFeed, 'subscribe'>;
  /** For tests. */
  watch?: { keepaliveMs?: number; stalledMs?: number };
}
