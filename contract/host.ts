/**
 * What crosses the wire between control and a host.
 *
 * The host dials control: a WebSocket on the API port, path {@link hostStreamPath}, under mutual TLS; the host's
 * certificate names its id (subject CN = host id). Control speaks first: `hello`, then one `snapshot`, complete; from then
 * on `update`s, each item complete in itself. Nothing is a command: every message states what shall be, so any of
 * them may be repeated, and a host that saved the last state acts on it while control is away. A server that a
 * snapshot does not name must not exist on the host.
 *
 * The host answers with `report`s: what is, with the generation that it served. The first report after a connection is
 * complete. Control keeps a report only if host and epoch are still the owner's and the generation is not older. The host's
 * pings carry its time (milliseconds since 1970 in decimal), by which control measures how far their clocks are apart.
 *
 * For bytes (images, console logs) control and other hosts call the host's own HTTPS service, see {@link hostPaths}.
 */
import type { HostId, ImageId, NetworkId, PortId, ProjectId, ServerId, SubnetId } from './ids.ts';

export const hostProtocolVersion = 1;
export const hostStreamPath = '/host/v1/stream';

/** The host's HTTPS service (mutual TLS over TCP; plain over a unix socket for control on the same machine). */
export const hostPaths = {
  /**
   * PUT ?format=raw|qcow2&maxBytes=n streams an image in (see {@link ImageUploadResult}) and replaces what is there; with a
   * Content-Length where the size is known. The host refuses with `too_large` (413) more than maxBytes, with `no_capacity` (507)
   * when its disk is full, with `invalid` (400) what is not what it claims or not safe; of a PUT that is refused or whose body
   * ends early nothing stays. GET streams it out (Range allowed), DELETE removes it; all idempotent.
   */
  image: (id: ImageId) => `/v1/images/${id}`,
  /** GET ?bytes=n: the last n bytes of the serial console's output, as they came from the guest. */
  consoleLog: (id: ServerId) => `/v1/servers/${id}/console-log`,
  /** GET: HostFacts and the state of every engine that the host drives, for `bothy doctor`. */
  health: '/v1/health',
} as const;

export interface HostFacts {
  name: string;
  /** 'kvm' only after a probe guest has booted under it on this machine; else 'tcg'. */
  accelerator: 'kvm' | 'tcg';
  /** Why not KVM; empty when it is. */
  acceleratorReason: string;
  architecture: string;
  cpus: number;
  memoryMiB: number;
  diskGiB: number;
  /** OVS datapath that a probe chose: 'system' is the kernel's, 'netdev' is userspace. */
  datapath: 'system' | 'netdev';
  qemuVersion: string;
  bothyVersion: string;
  /** Where other machines reach this host's HTTPS service, e.g. https://10.0.0.5:8444 */
  url: string;
  /** Unix socket of the same service; only a control process on the same machine can use it. */
  socket: string | null;
}

export interface DesiredImage {
  id: ImageId;
  format: 'raw' | 'qcow2';
  /** Bytes of the stored file. */
  sizeBytes: number;
  /** Lower-case hex of the stored file's bytes. */
  sha256: string;
  /** HTTPS services of hosts that hold the bytes; empty when this host itself does. */
  sources: string[];
}

export interface DesiredFixedIp {
  ip: string;
  subnetId: SubnetId;
  ipVersion: 4 | 6;
  prefixLength: number;
  gateway: string | null;
  dnsNameservers: string[];
  /** Neutron's ipv6_address_mode; null for IPv4 and for static IPv6. */
  ipv6AddressMode: 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless' | null;
  /** False where an IPv4 subnet has no DHCP, so that the guest is told its address by config drive; absent means DHCP. */
  dhcp?: boolean;
}

export interface DesiredPort {
  /** Also the OVS Interface's external_ids:iface-id and the name of the logical switch port. */
  id: PortId;
  networkId: NetworkId;
  mac: string;
  mtu: number;
  fixedIps: DesiredFixedIp[];
}

/** A network that has a server on this host: the host keeps a metadata namespace on it. */
export interface DesiredNetwork {
  id: NetworkId;
  mtu: number;
  /** The network's localport (same id, MAC and addresses on every host); `ips` in CIDR form, one per IPv4 subnet. */
  metadataPort: { id: PortId; mac: string; ips: string[] };
}

export interface DesiredServer {
  id: ServerId;
  projectId: ProjectId;
  userId: string;
  /** Ownership: a host runs the guest only under the epoch it was given. */
  epoch: number;
  generation: number;
  presence: 'present' | 'absent';
  power: 'on' | 'off';
  /** Raised with each reboot that was asked for; the host has served it when its own count is equal. */
  reboot: { count: number; type: 'soft' | 'hard' };
  name: string;
  hostname: string;
  vcpus: number;
  memoryMiB: number;
  diskGiB: number;
  /** Null only where a server boots from elsewhere (volumes, a later issue). */
  image: DesiredImage | null;
  ports: DesiredPort[];
  configDrive: boolean;
  availabilityZone: string;
  keys: { name: string; publicKey: string; type: 'ssh' }[];
  /** Base64, as Nova takes it; at most 65,535 characters. */
  userData: string | null;
  /** Nova's server metadata. */
  metadata: Record<string, string>;
  /** ISO 8601. */
  createdAt: string;
}

export interface ObservedServer {
  id: ServerId;
  epoch: number;
  generation: number;
  /**
   * building: a step towards the desired state is under way (`step` says which);
   * running: QEMU runs and every port is plugged; paused never lasts in this protocol version;
   * stopped: disk exists, no QEMU; absent: nothing of the server is left on this host;
   * failed: the host gave up on this generation, `error` says why. Control decides what then.
   */
  state: 'building' | 'running' | 'stopped' | 'absent' | 'failed';
  rebootCount: number;
  /** What the host is doing or waiting for, for people; e.g. 'fetching image, 40 of 64 MiB'. */
  step: string | null;
  error: { code: string; message: string } | null;
  /** ISO 8601; when the present QEMU started. */
  startedAt: string | null;
}

export type ControlMessage =
  | { type: 'hello'; protocol: number; cloudId: string; hostId: HostId; leaseMs: number }
  /**
   * `images`: all uploads whose bytes the host shall keep, beyond what its servers need. In an update only when the list has
   * changed. It may come a moment after an upload that it names, so the host leaves young files alone.
   */
  | { type: 'snapshot'; servers: DesiredServer[]; networks: DesiredNetwork[]; images: ImageId[] }
  | {
      type: 'update';
      servers: DesiredServer[];
      networks: DesiredNetwork[];
      removedNetworks: NetworkId[];
      images?: ImageId[];
    }
  /** The observation `absent` was recorded: the host may forget the server. */
  | { type: 'forget'; servers: ServerId[] };

export type HostMessage =
  | { type: 'hello'; protocol: number; cloudId: string | null; facts: HostFacts }
  | { type: 'report'; complete: boolean; servers: ObservedServer[] };

/** Answer to a PUT of an image. The host inspects the file (untrusted input) before it says yes. */
export interface ImageUploadResult {
  sizeBytes: number;
  /** Size of the disk that a guest sees. */
  virtualSizeBytes: number;
  md5: string;
  sha256: string;
}

/** Body of every error that the host's HTTPS service answers. */
export interface HostError {
  error: { code: string; message: string };
}
