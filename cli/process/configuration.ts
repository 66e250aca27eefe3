/**
 * What the two processes of Bothy are told at their start: one JSON file each, in a directory of its own below the run
 * directory, readable by its process alone. Written by `bothy up` from settings, identity and certificates.
 */

import type { HostBandwidth } from '../../contract/host/index.ts';
import type { PasswordPolicy } from '../../control/identity/index.ts';
import type { PropertyRule } from '../../control/image/index.ts';
import type { ObjectsSetting, StorageSetting } from '../../host/index.ts';
import type { VendorTarget } from '../../host/metadata/index.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface TlsFiles {
  certificate: string;
  key: string;
  ca: string;
}

export interface ControlConfiguration {
  cloudId: string;
  region: string;
  logLevel: LogLevel;
  /** PostgreSQL connection URL; may hold a password. */
  databaseUrl: string;
  listen: { address: string; port: number };
  /** Without a trailing slash and path, e.g. https://192.0.2.7:8443. */
  publicUrl: string;
  /** Where hosts reach this very process, e.g. https://192.0.2.7:8443; absent: they are told of none. */
  ownUrl?: string;
  tls: TlsFiles;
  /** In base64, the newest first: what seals credentials in the database. */
  sealingKeys: string[];
  /** What passwords must be, and what ends guessing. */
  passwordPolicy?: PasswordPolicy;
  /** Pages of dashboards that tokens of browsers' log-ins are taken to; absent: none. */
  trustedDashboards?: string[];
  /** Where servers go that ask for nothing; absent: `spread`. */
  placementPolicy?: 'spread' | 'pack';
  /** Whether servers move by themselves so that no host is much fuller than the others. Absent: off. */
  rebalance?: 'off' | 'propose' | 'do';
  /** Absent: as the cloud takes it. */
  rebalanceAfterSeconds?: number;
  /** What hosts take that nobody measures, in watts. Absent: nobody says it. */
  wattsModel?: { idle: number; max: number } | undefined;
  /** Whether hosts that nobody needs are switched off. Absent: off. */
  consolidate?: 'off' | 'propose' | 'do';
  consolidateAfterSeconds?: number;
  /** For how long a deleted server can be restored; absent or 0: it can't. */
  reclaimSeconds?: number;
  /** When a shelved server leaves its host; absent or 0: at once; below 0: never by itself. */
  shelvedOffloadSeconds?: number;
  /** When a resize is confirmed by itself; absent or 0: never. */
  confirmSeconds?: number;
  /** On how many hosts an image shall lie; absent: one. */
  imageCopies?: number;
  /** On how many disks each object's bytes lie; absent: one. */
  objectCopies?: number;
  /** Of properties of images; none: everybody may do everything with them. */
  imageProtections?: PropertyRule[];
  /** What tenants may import images from beside public addresses and the usual ports. */
  imageImport?: { ranges: string[]; ports: number[] };
  /** How many days of history the database keeps. */
  retention: { changeLogDays: number; operationDays: number };
  /** Port of the southbound database, for hosts of other machines. */
  southboundPort: number;
  bothyVersion: string;
  /** OVSDB target of the northbound database, e.g. unix:/run/…/nb.sock; empty: it is on another machine, whose control projects. */
  northbound: string;
  /** Where the process tells `bothy doctor` how it is. */
  healthSocket: string;
  /** The host on this machine, called over its socket; those on others are called with `tls` as the client's certificate. */
  localHost: { id: string; name: string; socket: string };
  /** The host beside the cloud's authority, where that is another than `localHost`. */
  authority?: { id: string; url: string };
  /** What the cloud's first start creates in the database: the administrator and the external network. */
  bootstrap: {
    adminPassword: string;
    /** Of the first administrator, for S3; absent: the cloud is older than that. */
    accessKey?: { access: string; secret: string };
    external: ExternalNetwork;
  };
}

/** What the external bridge carries, and this machine's ranges and addresses on it; what is empty is not there. */
interface ExternalNetwork {
  physicalNetwork: string;
  cidr: string;
  gateway: string;
  cidr6: string;
  gateway6: string;
}

export interface HostConfiguration {
  cloudId: string;
  hostId: string;
  hostName: string;
  tag: string;
  logLevel: LogLevel;
  bothyVersion: string;
  /** WebSocket address of control, e.g. wss://127.0.0.1:8443/host/v1/stream. */
  controlUrl: string;
  /** The service for other machines. */
  listen: { address: string; port: number };
  url: string;
  /** Unix socket of the same service, for control on this machine. */
  socket: string;
  tls: TlsFiles;
  dataDirectory: string;
  runDirectory: string;
  logDirectory: string;
  /** Unprivileged user of probe guests; its group is that of all guests. */
  guestUser: string;
  /** Each guest's own user is one of these numbers. */
  guestUids: { first: number; count: number };
  /** User of control: owns access to `socket`. */
  controlUser: string;
  accelerator: 'auto' | 'kvm' | 'tcg';
  datapath: 'auto' | 'system' | 'netdev';
  quarantinedGuests: 'run' | 'stop';
  storage: StorageSetting;
  objects: ObjectsSetting;
  /** At which servers come from other hosts. */
  migrationPorts: { first: number; last: number };
  /** OVSDB target, e.g. unix:/run/…/sb.sock or ssl:192.0.2.7:6642. */
  southbound: string;
  /** The cloud's data directory, where its authority is: on the machine of control. */
  authority?: string;
  /** The card that carries the tunnels, with its address (CIDR); absent: tunnels end at the address in `url`. */
  tunnels?: { device: string; address: string };
  /** What every guest is told beside what is its own. */
  vendorData: Record<string, unknown>;
  /** Who says what of each; `ca` empty: public authorities. */
  vendorServices: { targets: VendorTarget[]; ca: string };
  uplink: 'none' | 'nat';
  /** ADDRESS or ADDRESS@PORT; empty: those that the machine asks. */
  dnsServers: string[];
  /** What its cards give to be promised. */
  bandwidths: HostBandwidth[];
  external: ExternalNetwork & { interface: string };
}
