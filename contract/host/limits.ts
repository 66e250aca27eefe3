/**
 * Every maximum that a document between control and a host has. The APIs refuse what is above these, so whatever they
 * accept can be told to a host; `api/openstack/host-limits.db.test.ts` holds that. Lengths are in code points. Pure.
 */

/** Of a server, as its owner sees and names it. */
export const serverLimits = {
  nameLength: 255,
  /** A full domain name, as Nova takes one since 2.94. */
  hostnameLength: 255,
  /** `-` and a number behind the name, where one request makes several servers. */
  nameSuffixLength: 5,
  /** Servers of one request. */
  perRequest: 1000,
  /** Servers that one may name as those on whose host it shall be, or shall not be. */
  hintedServers: 1000,
  /** As the database counts them; whether a machine has so much is placement's question. */
  vcpus: 2 ** 31 - 1,
  memoryMiB: 2 ** 31 - 1,
  diskGiB: 2 ** 31 - 1,
  /** Ephemeral and swap disks of one server. */
  localDisks: 4,
  localDiskNameLength: 16,
  /** Images that are made of one server's disk at a time. */
  captures: 4,
  /** Interfaces of one server. */
  ports: 100,
  /** Base64, as Nova takes it. */
  userDataLength: 65_535,
  adminPasswordLength: 1024,
  /** Bytes, so also code points, that a guest may post: Nova's (nova/api/metadata/password.py). */
  guestPasswordLength: 4 * 255,
  /** Files given beside it: whatever a project's quota says. Contents in base64. */
  files: 20,
  filePathLength: 1024,
  fileContentsLength: 65_535,
  reservationIdLength: 64,
  /** More are not told. */
  bootRoles: 100,
  roleNameLength: 255,
  /** Whatever a project's quota says. */
  metadataItems: 1000,
  metadataKeyLength: 255,
  metadataValueLength: 255,
  keys: 1,
  keyNameLength: 255,
  publicKeyLength: 16_384,
  availabilityZoneLength: 255,
  machineTypeLength: 64,
  stampLength: 64,
  /** Beside the one that it boots from: as many as a machine has places for. */
  volumes: 26,
  deviceNameLength: 64,
} as const;

/** Of a volume's content on a host. */
export const layerLimits = {
  poolNameLength: 63,
  /** Pools of one host. */
  pools: 100,
  poolPathLength: 4096,
  captures: 4,
  backups: 4,
  backupNameLength: 255,
  /** A file that is taken has its layer's id before its name. */
  managedNameLength: 200,
  /** Generations of a cache that are remembered. */
  cacheHistory: 8,
  /** Of a volume, a snapshot or a type. */
  recordedNameLength: 255,
  recordedSnapshots: 100,
  /** Hosts that take a copy of one layer at once. */
  copies: 8,
  stampLength: 64,
} as const;

/** Of a volume for a machine outside. */
export const exportLimits = {
  /** RFC 7143, 4.2.7: 223 bytes. */
  initiatorLength: 223,
  userLength: 64,
  portalLength: 100,
} as const;

/** Of an interface and its network. */
export const portLimits = {
  /** Places in a machine; some more than it may have cards, since detached ones leave holes. */
  slots: 1000,
  /** That a caller names for one port. */
  fixedIps: 64,
  /** That a port gets beyond those, one of each SLAAC subnet that its network has. */
  slaacIps: 1000,
  dnsNameservers: 5,
  hostRoutes: 20,
  mtu: { minimum: 68, maximum: 65_535 },
  tagLength: 60,
  /** Without the dot at the end: RFC 1035, 3.1. */
  domainLength: 253,
  /** Named ports of one network that its resolvers are told of. */
  networkHosts: 10_000,
  /** Addresses of a network's metadata port: one of each IPv4 subnet. */
  metadataAddresses: 10_000,
} as const;

/** Of an image's bytes on other hosts. */
export const imageLimits = {
  sources: 100,
} as const;

/** Of objects' bytes on a host. */
export const objectLimits = {
  diskNameLength: 63,
  /** Disks of one host. */
  disks: 100,
  fileNameLength: 64,
  /** A blob that is no larger is a record in a pack. */
  packedBytes: 256 * 1024,
  /** A pack that has as much gets no further record. */
  packBytes: 256 * 1024 * 1024,
  /** Of one blob: 5 GiB, as S3 has it of a part and Swift of an object. */
  blobBytes: 5 * 2 ** 30,
  /** Of one request. */
  batchBytes: 8 * 1024 * 1024,
  batchBlobs: 1024,
  copiedBlobs: 1024,
  /** Of one intent on one disk. */
  intentFiles: 1_000_000,
  /** That are told at a time. */
  faults: 1000,
} as const;

/** Of what a host says about itself and its servers. */
export const hostLimits = {
  /** Networks that it says the bandwidth of. */
  bandwidths: 100,
  physicalNetworks: 100,
  machineTypes: 200,
  nameLength: 255,
  urlLength: 2000,
  versionLength: 200,
  reasonLength: 4000,
  stepLength: 1000,
  errorCodeLength: 100,
  errorMessageLength: 4000,
} as const;

/** Of what a host says of its tunnels. */
export const tunnelLimits = {
  addressLength: 45,
  /** That are named; beyond those they are counted. */
  broken: 200,
} as const;

/** Of one message. */
export const messageLimits = {
  servers: 20_000,
  layers: 200_000,
  networks: 20_000,
  images: 1_000_000,
  quarantinedImages: 10_000,
  /** Of encrypted layers, asked for at a time. */
  keys: 1000,
  /** Addresses of control processes. */
  controls: 16,
  /** Readings that control records in one transaction; what is left has the next message. */
  meters: 2000,
  /** Documents of one message of a host that can't be read; what comes after them is left out unread: to find that of one costs what a hundred that can be read do. */
  unreadable: 1000,
  /** A snapshot of some thousand servers with full user data. */
  controlBytes: 256 * 1024 * 1024,
  /** A complete report of 10,000 servers fits; more than a host can hold. */
  hostBytes: 16 * 1024 * 1024,
} as const;

/** Of a server's way to another host. */
export const migrationLimits = {
  /** An IPv6 address with a zone is the longest. */
  addressLength: 64,
  /** A server's own disks, a config drive, and volumes. */
  disks: 256,
  diskNameLength: 32,
} as const;
