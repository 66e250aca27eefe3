/** The native dialect at /native/v1: what OpenStack's APIs have no words for. See README.md. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { ConsolidationService } from '../../control/compute/consolidation/index.ts';
import { WattsService } from '../../control/compute/power/index.ts';
import { RebalanceService } from '../../control/compute/rebalance/index.ts';
import { ReserveService } from '../../control/compute/reserve/index.ts';
import { SurvivalService } from '../../control/compute/survival/index.ts';
import { ReplicaService } from '../../control/storage/replication/index.ts';
import { Boundary } from '../boundary/boundary.ts';
import { readJson } from '../boundary/json.ts';
import { openApiDocument } from '../boundary/openapi.ts';
import { speakFaults } from '../openstack/common/faults.ts';
import type { Dialect } from '../server.ts';
import { authenticateNative } from './caller.ts';
import { changeRoutes } from './changes.ts';
import { consolidationRoutes } from './consolidation.ts';
import { decisionRoutes } from './decisions.ts';
import type { NativeDeps } from './deps.ts';
import { nativeFault, versionDocument } from './documents.ts';
import { evacuationPolicyRoutes } from './evacuation-policy.ts';
import { nativeFaults } from './faults.ts';
import { hostBmcRoutes } from './host-bmc.ts';
import { hostRoutes } from './hosts.ts';
import { maintenanceRoutes } from './maintenance.ts';
import { meterRoutes } from './meters.ts';
import { operationRoutes } from './operations.ts';
import { powerRoutes } from './power.ts';
import { proofRoutes } from './proof.ts';
import { quarantineRoutes } from './quarantine.ts';
import { nativeSentences } from './query.ts';
import { reachabilityRoutes } from './reachability.ts';
import { reachabilityAssertionRoutes } from './reachability-assertions.ts';
import { rebalanceRoutes } from './rebalance.ts';
import { reserveRoutes } from './reserve.ts';
import { serverWayRoutes } from './server-way.ts';
import { storagePoolRoutes } from './storage-pools.ts';
import { survivalRoutes } from './survival.ts';
import { volumeCacheRoutes } from './volume-cache.ts';
import { volumeReplicaRoutes } from './volume-replica.ts';
import { volumeSpaceRoutes } from './volume-space.ts';
import { volumeWayRoutes } from './volume-way.ts';
import { whyRoutes } from './why.ts';

const root = {
  summary: 'What there is here',
  rights: 'open',
  answers: { 200: versionDocument },
} as const;
const described = {
  summary: 'This document',
  rights: 'open',
  answers: { 200: Type.Record(Type.String(), Type.Unknown()) },
} as const;

export const nativeInfo = {
  title: 'Bothy native API',
  version: '1',
  description:
    'Changes, operations, decisions, hosts that join, storage pools, reachability: what the OpenStack APIs have no words for.',
  fault: nativeFault,
} as const;

export function nativeDialect(deps: NativeDeps): Dialect {
  return {
    prefix: '/native',
    async plugin(app: FastifyInstance) {
      speakFaults(app, nativeFaults);
      authenticateNative(app, deps.identity);
      readJson(app);
      const boundary = new Boundary(app, { sentences: nativeSentences });
      boundary.get('/v1', root, () => ({
        version: 'v1',
        links: {
          changes: '/native/v1/changes',
          operations: '/native/v1/operations',
          consolidation: '/native/v1/consolidation',
          decisions: '/native/v1/decisions',
          host_tokens: '/native/v1/host-tokens',
          meters: '/native/v1/meters',
          power: '/native/v1/power',
          quarantine: '/native/v1/quarantine',
          reachability: '/native/v1/reachability',
          reachability_assertions: '/native/v1/reachability-assertions',
          rebalance: '/native/v1/rebalance',
          reserve: '/native/v1/reserve',
          storage_pools: '/native/v1/storage-pools',
          survival: '/native/v1/survival',
          volume_replicas: '/native/v1/volume-replicas',
          openapi: '/native/v1/openapi.json',
        },
      }));
      changeRoutes(boundary, deps, app);
      operationRoutes(boundary, deps);
      decisionRoutes(boundary, deps);
      whyRoutes(boundary, deps);
      proofRoutes(boundary, deps);
      survivalRoutes(boundary, new SurvivalService(deps));
      evacuationPolicyRoutes(boundary, deps);
      quarantineRoutes(boundary, deps);
      hostRoutes(boundary, deps);
      maintenanceRoutes(boundary, deps);
      rebalanceRoutes(boundary, deps.rebalance ?? new RebalanceService(deps));
      consolidationRoutes(boundary, deps.consolidation ?? new ConsolidationService(deps));
      powerRoutes(boundary, deps.watts ?? new WattsService(deps));
      reserveRoutes(boundary, new ReserveService(deps));
      hostBmcRoutes(boundary, deps.bmcs);
      volumeCacheRoutes(boundary, deps);
      volumeReplicaRoutes(boundary, new ReplicaService(deps));
      volumeSpaceRoutes(boundary, deps);
      for (const routes of [volumeWayRoutes, serverWayRoutes]) routes(boundary, deps);
      storagePoolRoutes(boundary, deps);
      meterRoutes(boundary, deps.meters);
      reachabilityRoutes(boundary, deps.reachability);
      reachabilityAssertionRoutes(boundary, deps.reachabilityAssertions);
      let document: object | undefined;
      boundary.get('/v1/openapi.json', described, () => {
        document ??= openApiDocument(nativeInfo, boundary.entries);
        return document;
      });
    },
  };
}
