/** A small cloud in a test database: a project with members, a network, an image, flavors and hosts. Tests only. */
import { sql } from 'kysely';
import pino from 'pino';
import type { GuestDiagnostics, ObservedServer } from '../../../contract/host/index.ts';
import {
  type HostId,
  type ImageId,
  newId,
  newOrderedId,
  type PortId,
  type ProjectId,
  type ServerId,
} from '../../../contract/ids.ts';
import type { HostedServers } from '../../host/index.ts';
import { ImageService, PropertyProtections, type PropertyRule } from '../../image/index.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { testProject, testUser } from '../../kit/database/testing.ts';
import { ensureTopology } from '../../network/auto-topology/build.ts';
import { PortService } from '../../network/port/service.ts';
import { type ControllerStep, ServerController } from './controller.ts';
import type { ServerHosts } from './dependencies.ts';
import { hostedServers } from './hosted-servers.ts';
import { ServerService } from './service.ts';
import { stateOfPower } from './states.ts';
import type { ServerWish } from './wish.ts';

export const silentLog = pino({ level: 'silent' });
export const oddName = '小屋 🏔 "x"; drop';

export function callerOf(
  projectId: string | null,
  roles: string[] = ['member', 'reader'],
  over: Partial<Caller> = {},
): Caller {
  return {
    requestId: `req-${newId()}`,
    userId: newId(),
    userName: 'someone',
    userDomainId: newId(),
    projectId: projectId as ProjectId | null,
    projectName: projectId && 'a project',
    projectDomainId: null,
    domainId: null,
    system: false,
    roles: new Set(roles),
    applicationCredential: null,
    ...over,
  };
}

const exampleDiagnostics: GuestDiagnostics = {
  ...{ state: 'running', uptimeSeconds: 61, memoryMiB: 512, configDrive: false },
  cpus: [{ index: 0, timeNs: 17_300_000_000 }],
  disks: [{ name: 'disk0', readBytes: 512, readRequests: 1, writeBytes: 0, writeRequests: 0, errors: 0 }],
  cards: [],
};

/** What a host says of an image that it made. */
export const capturedDisk = { sizeBytes: 196_616, virtualSizeBytes: 2 ** 30 };

export interface ServerCloud {
  database: Database;
  projectId: ProjectId;
  member: Caller;
  admin: Caller;
  imageId: ImageId;
  networkId: string;
  ports: PortService;
  /** What hosts were asked for beside what shall be. */
  asked: string[];
  images: ImageService;
  hosts: ServerHosts;
  service: ServerService;
  side: HostedServers;
  controller: ServerController;
  /** A cloud whose deleted servers can be restored for so long. */
  reclaiming(seconds: number): { service: ServerService; controller: ServerController };
  /** A cloud with property protections. */
  protecting(rules: PropertyRule[]): ServerService;
  /** A controller that confirms resizes after so long. */
  confirming(seconds: number): ServerController;
  /** A controller that dies after the step. */
  dyingController(step: ControllerStep): ServerController;
  addHost(options?: {
    name?: string;
    vcpus?: number;
    memoryMiB?: number;
    connected?: boolean;
    zone?: string;
  }): Promise<HostId>;
  addFlavor(options?: { id?: string; vcpus?: number; memoryMiB?: number; diskGiB?: number }): Promise<string>;
  wish(over?: Partial<ServerWish>): ServerWish;
  /** The member's server with these ports, once control has placed it, or found no place. */
  serverWith(flavor: string, ports: readonly PortId[]): Promise<ServerId>;
  /** What a host that does what it is told would report. */
  obey(hostId: HostId): Promise<ServerId[]>;
  report(hostId: HostId, serverId: ServerId, over?: Partial<ObservedServer>): Promise<ServerId[]>;
}

export async function serverCloud(database: Database): Promise<ServerCloud> {
  const [projectId, imageId] = [await testProject(database), newId<ImageId>()];
  const [networkId, subnetId] = [newId(), newId()];
  const db = database.query;
  await sql`insert into network (id, project_id, name) values (${networkId}, ${projectId}, ${oddName})`.execute(db);
  await sql`insert into subnet (id, project_id, network_id, ip_version, cidr, gateway_ip, allocation_pools)
    values (${subnetId}, ${projectId}, ${networkId}, 4, '10.0.0.0/16', '10.0.0.1',
      '[{"start": "10.0.0.2", "end": "10.0.255.254"}]')`.execute(db);
  await sql`insert into image (id, project_id, name, status, disk_format, size_bytes, virtual_size_bytes, sha256, visibility)
    values (${imageId}, ${projectId}, ${oddName}, 'active', 'qcow2', 1000, 1000000, 'aa', 'public')`.execute(db);
  const ports = new PortService({ database, autoNetwork: ensureTopology });
  const images = new ImageService({ database, log: silentLog });
  const asked: string[] = [];
  const hosts: ServerHosts = {
    consoleLog: async (_host, id, bytes) => Buffer.from(`console of ${id}\r\nlast line\u0007\n`).subarray(-bytes),
    injectNmi: async (_host, id) => void asked.push(`nmi ${id}`),
    setPassword: async (_host, id, { user, password }) =>
      void asked.push(`password ${id} ${user} ${password.reveal()}`),
    diagnostics: async () => exampleDiagnostics,
  };
  const deps = { database, ports, images, hosts, log: silentLog };
  const side = hostedServers(deps);
  const cloud: ServerCloud = {
    database,
    projectId,
    member: callerOf(projectId),
    admin: callerOf(projectId, ['admin', 'manager', 'member', 'reader']),
    imageId,
    networkId,
    ports,
    images,
    hosts,
    side,
    asked,
    service: new ServerService(deps),
    controller: new ServerController(deps),
    reclaiming: (reclaimSeconds) => ({
      service: new ServerService({ ...deps, reclaimSeconds }),
      controller: new ServerController({ ...deps, reclaimSeconds }),
    }),
    protecting: (rules) => {
      const protections = new PropertyProtections(rules);
      return new ServerService({ ...deps, images: new ImageService({ database, log: silentLog, protections }) });
    },
    confirming: (confirmSeconds) => new ServerController({ ...deps, confirmSeconds }),
    dyingController: (step) =>
      new ServerController({
        ...deps,
        afterStep(reached) {
          if (reached === step) throw new Error(`died after '${step}'`);
        },
      }),
    async addHost({ name, vcpus = 16, memoryMiB = 32768, connected = true, zone = 'nova' } = {}) {
      const id = newOrderedId<HostId>();
      await sql`insert into host (id, name, vcpus, memory_mib, disk_gib, connected, availability_zone, facts)
        values (${id}, ${name ?? `host-${id}`}, ${vcpus}, ${memoryMiB}, 1000, ${connected}, ${zone},
          ${JSON.stringify({ url: `https://${id}:8444`, qemuVersion: '7.2.0', cpus: vcpus / 16, memoryMiB: memoryMiB + 1024, machine: { types: ['pc-q35-7.2', 'pc-q35-7.1'], cpuModel: 'max', layout: 1 }, migrations: ['cold', 'live'], beginsLent: true, layerCopies: true })}::jsonb)`.execute(
        db,
      );
      return id;
    },
    async addFlavor({ id = newId(), vcpus = 1, memoryMiB = 512, diskGiB = 1 } = {}) {
      await sql`insert into flavor (id, flavor_id, name, vcpus, memory_mib, disk_gib)
        values (${newOrderedId()}, ${id}, ${`flavor ${id}`}, ${vcpus}, ${memoryMiB}, ${diskGiB})`.execute(db);
      return id;
    },
    wish: (over = {}) => ({
      name: oddName,
      description: null,
      hostname: null,
      flavor: 'no flavor',
      imageId,
      ports: [],
      automatic: null,
      securityGroups: [],
      keyName: null,
      userData: null,
      files: [],
      configDrive: false,
      adminPassword: null,
      metadata: {},
      tags: [],
      availabilityZone: null,
      serverGroup: null,
      sameHost: [],
      differentHost: [],
      requestedHost: null,
      placementPolicy: null,
      minCount: 1,
      maxCount: 1,
      localDisks: [],
      rootTag: null,
      volumes: [],
      diskBuses: [],
      diskConfig: 'MANUAL',
      accessIpv4: null,
      accessIpv6: null,
      ...over,
    }),
    async serverWith(flavor, ports) {
      const wish = cloud.wish({ flavor, ports: ports.map((portId) => ({ portId })) });
      const { ids } = await cloud.service.create(cloud.member, wish);
      await cloud.controller.reconcile(ids[0]!);
      return ids[0]!;
    },
    async obey(hostId) {
      const servers = await side.desiredServers(db, { hostId });
      return side.recordReports(
        hostId,
        servers.map((server) => ({
          id: server.id,
          epoch: server.epoch,
          generation: server.generation,
          state: server.presence === 'absent' ? 'absent' : stateOfPower[server.power],
          rebootCount: server.reboot.count,
          rescueCount: server.rescue?.count ?? 0,
          rootCount: server.rootCount ?? 0,
          resizeCount: server.resize?.state === 'kept' ? server.resize.count : 0,
          captures: server.captures?.map(({ imageId }) => ({ imageId, result: capturedDisk, error: null })) ?? [],
          ...(server.onLeaseEnd && server.power !== 'off' && { onLeaseEnd: server.onLeaseEnd }),
          step: null,
          error: null,
          startedAt: server.power === 'on' ? '2026-01-01T00:00:00.000Z' : null,
        })),
      );
    },
    async report(hostId, serverId, over = {}) {
      const { rows } = await sql<{ epoch: number; generation: number; count: number }>`
        select epoch, generation, desired_reboot_count as count from server where id = ${serverId}`.execute(db);
      const { epoch = 1, generation = 1, count = 0 } = rows[0] ?? {};
      const plain = { step: null, error: null, startedAt: null, state: 'running' as const };
      return side.recordReports(hostId, [{ id: serverId, epoch, generation, rebootCount: count, ...plain, ...over }]);
    },
  };
  for (const { userId } of [cloud.member, cloud.admin]) await testUser(database, userId);
  return cloud;
}
