/** The area opens itself: its services and what works behind them, made in order, begun and ended together. */
import type { Sealer } from '../identity/index.ts';
import type { QuotaService } from '../kit/quota/index.ts';
import { AggregateService } from './aggregate/index.ts';
import { type ConsoleHosts, ConsoleService } from './console/index.ts';
import {
  type ConsolidationPolicy,
  ConsolidationService,
  Consolidator,
  type ConsolidatorOptions,
  Standby,
  type StandbyTiming,
} from './consolidation/index.ts';
import { FlavorService } from './flavor/index.ts';
import { type HypervisorHosts, HypervisorService } from './hypervisor/index.ts';
import { KeyPairService } from './key-pair/index.ts';
import { Drainer, type DrainerOptions, MaintenanceService } from './maintenance/index.ts';
import {
  BmcService,
  PowerOffs,
  type PowerOffTiming,
  Watts,
  type WattsModel,
  type WattsOptions,
  WattsService,
} from './power/index.ts';
import { type RebalancePolicy, Rebalancer, RebalanceService } from './rebalance/index.ts';
import { RefugeKeeper } from './reserve/index.ts';
import { ResourceProviderService } from './resource-provider/index.ts';
import {
  Evacuator,
  type EvacuatorOptions,
  hostedServers,
  ServerController,
  type ServerControllerOptions,
  ServerService,
  type ServerServiceOptions,
  tellDigest,
} from './server/index.ts';
import { ServerGroupService } from './server-group/index.ts';
import { MigrationService } from './server-migration/index.ts';
import { SurvivalWatch } from './survival/index.ts';
import { TenantUsageService } from './tenant-usage/index.ts';

export interface ComputeAreaOptions extends Omit<ServerServiceOptions, 'created'>, ServerControllerOptions {
  ports: ServerServiceOptions['ports'] &
    ServerControllerOptions['ports'] &
    Parameters<typeof hostedServers>[0]['ports'];
  quotas: QuotaService;
  /** Of the passwords of BMCs. */
  sealer: Sealer;
  /** Absent: off. */
  rebalance?: RebalancePolicy | undefined;
  /** Absent: as the cloud takes it, so of `consolidateAfterSeconds`. */
  rebalanceAfterSeconds?: number | undefined;
  /** Absent: off. */
  consolidate?: ConsolidationPolicy | undefined;
  consolidateAfterSeconds?: number | undefined;
  /** Of hosts that nobody measures; absent: none. */
  wattsModel?: WattsModel | undefined;
  hosts: ServerServiceOptions['hosts'] & ConsoleHosts & WattsOptions['hosts'] & HypervisorHosts;
  /** For tests. */
  evacuation?: EvacuatorOptions['timing'];
  draining?: DrainerOptions['timing'];
  powerOff?: Partial<PowerOffTiming> | undefined;
  consolidation?: ConsolidatorOptions['timing'];
  standby?: Partial<StandbyTiming> | undefined;
  watts?: WattsOptions['timing'];
}

export function openCompute({
  quotas,
  afterStep,
  hostAwayMs,
  evacuation,
  draining,
  powerOff,
  rebalance = 'off',
  rebalanceAfterSeconds,
  consolidate = 'off',
  consolidateAfterSeconds,
  consolidation,
  standby,
  watts,
  ...options
}: ComputeAreaOptions) {
  const { database } = options;
  const controller = new ServerController({
    ...options,
    ...(afterStep && { afterStep }),
    ...(hostAwayMs !== undefined && { hostAwayMs }),
  });
  const powerOffs = new PowerOffs({ ...options, timing: powerOff });
  const evacuator = new Evacuator({ ...options, powerOffs, ...(evacuation && { timing: evacuation }) });
  const drainer = new Drainer({ ...options, ...(draining && { timing: draining }) });
  const rebalancing = { policy: rebalance, afterSeconds: rebalanceAfterSeconds };
  const consolidating = { policy: consolidate, afterSeconds: consolidateAfterSeconds };
  const rebalancer = new Rebalancer({ ...options, ...rebalancing });
  const consolidator = new Consolidator({ ...options, ...consolidating, timing: consolidation });
  const sleepers = new Standby({ ...options, gaveUp: (id) => consolidator.refuse(id), timing: standby });
  const measuring = new Watts({ ...options, timing: watts });
  const refuges = new RefugeKeeper({ database, log: options.log });
  const survival = new SurvivalWatch({ database, log: options.log });
  const parts = [controller, evacuator, drainer, rebalancer, consolidator, sleepers, measuring, refuges, survival];
  return {
    services: {
      servers: new ServerService({ ...options, created: (servers) => controller.hurry(servers) }),
      consoles: new ConsoleService({ database, hosts: options.hosts }),
      aggregates: new AggregateService({ database }),
      migrations: new MigrationService({ database }),
      tenantUsages: new TenantUsageService({ database }),
      serverGroups: new ServerGroupService({ database }),
      flavors: new FlavorService({ database }),
      keyPairs: new KeyPairService({ database }),
      hypervisors: new HypervisorService({ database, hosts: options.hosts }),
      maintenance: new MaintenanceService({ database }),
      rebalance: new RebalanceService({ database, ...rebalancing }),
      consolidation: new ConsolidationService({ database, ...consolidating }),
      watts: new WattsService({ database, model: options.wattsModel }),
      bmcs: new BmcService(options),
      providers: new ResourceProviderService({ database }),
      quotas,
    },
    /** What hosts are told and say of servers. */
    hosted: hostedServers(options),
    /** For the work queue. */
    tasks: controller.tasks(),
    /** The digest of this image is known now. */
    tellDigest: (imageId: string) => tellDigest(database, imageId),
    /** For its health: who restarts servers elsewhere, and what would not survive the loss of a host. */
    watches: { evacuator, survival },
    start() {
      for (const part of parts) part.start();
    },
    async stop() {
      for (const part of parts) part.stop();
      await powerOffs.stop();
    },
  };
}
