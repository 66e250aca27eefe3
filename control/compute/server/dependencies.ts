/** What servers need of their neighbours; the composition root hands the real services in. */
import type { GuestDiagnostics } from '../../../contract/host/index.ts';
import type { PortId, ServerId } from '../../../contract/ids.ts';
import type { GuestPasswordWish, HostEndpoint } from '../../host/index.ts';
import type { DiskFormat } from '../../image/index.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import type {
  ServerPort,
  ServerPortBinding,
  ServerPortsPlan,
  ServerPortsWish,
} from '../../network/port/server-ports.ts';
import type { DesiredPorts, PortStamp, ServerInterface } from '../../network/port/server-views.ts';

/** Part of PortService (control/network/port). */
export interface ServerPorts {
  planServerPorts(tx: Tx, caller: Caller, wish: ServerPortsWish): Promise<ServerPortsPlan>;
  createServerPorts(
    tx: Tx,
    caller: Caller,
    plan: ServerPortsPlan,
    servers: readonly { id: ServerId; hostname: string }[],
  ): Promise<ServerPort[][]>;
  bindServerPorts(tx: Tx, placed: readonly ServerPortBinding[]): Promise<unknown>;
  unbindServerPorts(tx: Tx, serverId: ServerId): Promise<unknown>;
  releaseServerPorts(tx: Tx, serverId: ServerId, only?: PortId): Promise<unknown>;
  addServerAddress(tx: Tx, serverId: ServerId, networkId: string): Promise<boolean>;
  removeServerAddress(tx: Tx, serverId: ServerId, ip: string): Promise<boolean>;
  serverAddresses(db: Queryable, serverIds: ServerId[]): Promise<Map<ServerId, ServerInterface[]>>;
  desiredPorts(db: Queryable, serverIds: readonly ServerId[]): Promise<Map<ServerId, DesiredPorts>>;
  portStamps(db: Queryable, serverIds: readonly ServerId[]): Promise<Map<ServerId, PortStamp>>;
}

/** What a server needs to know of its image. */
export interface BootImage {
  id: string;
  name: string | null;
  md5: string | null;
  disk_format: DiskFormat | null;
  container_format: string | null;
  size_bytes: number | null;
  virtual_size_bytes: number | null;
  sha256: string | null;
  min_disk_gib: number;
  min_memory_mib: number;
  owner_properties: Readonly<Record<string, string>>;
  /** Not null: it is encrypted. */
  key_id: string | null;
}

/** Part of ImageService (control/image). */
export interface ServerImages {
  /** @throws CloudError when the image is hidden from the caller or not active */
  findForServer(db: Queryable, caller: Caller, imageId: string): Promise<BootImage>;
  /** Also one that is encrypted: volumes are made of it. */
  findForVolume(db: Queryable, caller: Caller, imageId: string): Promise<BootImage>;
  /** Also one without bytes. @throws CloudError `not_found` */
  show(caller: Caller, imageId: string): Promise<Pick<BootImage, 'owner_properties'>>;
  /** @throws CloudError `forbidden` where the caller may not make an image with them */
  requireProperties(caller: Caller, properties: Readonly<Record<string, string>>): void;
  /** Those of them that a new image of the caller's may have. */
  makeable(caller: Caller, properties: Readonly<Record<string, string>>): Record<string, string>;
}

/** Part of HostClient (control/host). */
export interface ServerHosts {
  consoleLog(host: HostEndpoint, id: ServerId, bytes: number): Promise<Buffer>;
  injectNmi(host: HostEndpoint, id: ServerId): Promise<void>;
  setPassword(host: HostEndpoint, id: ServerId, wish: GuestPasswordWish): Promise<void>;
  diagnostics(host: HostEndpoint, id: ServerId): Promise<GuestDiagnostics>;
}
