/**
 * Reading what control sends. Control is authenticated, but a defect there must not become a command line, a path or a
 * lost disk here: a message is taken whole or not at all. Pure.
 */
import { isIP } from 'node:net';
import type { ControlMessage, DesiredFixedIp, DesiredNetwork, DesiredServer } from '../../contract/host.ts';
import {
  boolean,
  type Check,
  dictionary,
  integer,
  list,
  Mismatch,
  nullable,
  object,
  oneOf,
  setOf,
  text,
} from './check.ts';

/** A snapshot of some thousand servers with full user data. */
export const maxControlMessageBytes = 256 * 1024 * 1024;

const count = integer(0, Number.MAX_SAFE_INTEGER);
const uuid = text(36, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
const mac = text(17, /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
const address: Check<string> = (value, place) => {
  if (typeof value !== 'string' || isIP(value) === 0) throw new Mismatch(`${place}: expected an IP address`);
  return value;
};
const cidr: Check<string> = (value, place) => {
  const [ip, length, ...rest] = typeof value === 'string' ? value.split('/') : [];
  if (isIP(ip ?? '') === 0 || !/^\d{1,3}$/.test(length ?? '') || Number(length) > 128 || rest.length > 0) {
    throw new Mismatch(`${place}: expected an address in CIDR form`);
  }
  return value as string;
};
const mtu = integer(68, 65_535);

const image = object({
  id: uuid,
  format: oneOf('raw', 'qcow2'),
  sizeBytes: count,
  sha256: text(64, /^[0-9a-f]{64}$/),
  sources: list(text(2000, /^https:\/\//), 100),
});

const fixedIp: Check<unknown> = object(
  {
    ip: address,
    subnetId: uuid,
    ipVersion: oneOf(4, 6),
    prefixLength: integer(0, 128),
    gateway: nullable(address),
    dnsNameservers: list(address, 100),
    ipv6AddressMode: oneOf(null, 'slaac', 'dhcpv6-stateful', 'dhcpv6-stateless'),
  } satisfies Record<Exclude<keyof DesiredFixedIp, 'dhcp'>, Check<unknown>>,
  { dhcp: boolean },
);

const port = object({ id: uuid, networkId: uuid, mac, mtu, fixedIps: list(fixedIp, 200) });

const network = object({
  id: uuid,
  mtu,
  metadataPort: object({ id: uuid, mac, ips: list(cidr, 200) }),
} satisfies Record<keyof DesiredNetwork, Check<unknown>>) as Check<unknown> as Check<DesiredNetwork>;

const server = object({
  id: uuid,
  projectId: uuid,
  userId: text(255),
  epoch: count,
  generation: count,
  presence: oneOf('present', 'absent'),
  power: oneOf('on', 'off'),
  reboot: object({ count, type: oneOf('soft', 'hard') }),
  name: text(1000),
  hostname: text(255),
  vcpus: integer(1, 1024),
  memoryMiB: integer(1, 2 ** 30),
  diskGiB: integer(0, 2 ** 30),
  image: nullable(image),
  ports: setOf(port, 64),
  configDrive: boolean,
  availabilityZone: text(255),
  keys: list(object({ name: text(255), publicKey: text(65_535), type: oneOf('ssh') }), 100),
  userData: nullable(text(65_535, /^[A-Za-z0-9+/\s]*={0,2}\s*$/)),
  metadata: dictionary(1000, 65_535),
  createdAt: text(40, /^\d{4}-\d{2}-\d{2}T/),
} satisfies Record<keyof DesiredServer, Check<unknown>>) as Check<unknown> as Check<DesiredServer>;

const maxServers = 20_000;
const checks: { [T in ControlMessage['type']]: Check<unknown> } = {
  hello: object({
    type: oneOf('hello'),
    protocol: count,
    cloudId: uuid,
    hostId: uuid,
    leaseMs: integer(0, 2 ** 31),
  }),
  snapshot: object({
    type: oneOf('snapshot'),
    servers: setOf(server, maxServers),
    networks: setOf(network, maxServers),
    images: list(uuid, 1_000_000),
  }),
  update: object(
    {
      type: oneOf('update'),
      servers: setOf(server, maxServers),
      networks: setOf(network, maxServers),
      removedNetworks: list(uuid, maxServers),
    },
    { images: list(uuid, 1_000_000) },
  ),
  forget: object({ type: oneOf('forget'), servers: list(uuid, maxServers) }),
};

/** @throws Mismatch naming the first place that is wrong */
export function parseControlMessage(json: string): ControlMessage {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Mismatch('the message: expected JSON');
  }
  const type = (value as { type?: unknown } | null)?.type;
  if (typeof type !== 'string' || !Object.hasOwn(checks, type)) throw new Mismatch('/type: expected a known type');
  return checks[type as ControlMessage['type']](value, '') as ControlMessage;
}

/** The documents of a saved state go through the same checks as those on the wire. */
export const checkServer = (value: unknown): DesiredServer => server(value, '');
export const checkNetwork = (value: unknown): DesiredNetwork => network(value, '');
