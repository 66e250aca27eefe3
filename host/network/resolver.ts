/**
 * The resolvers of this machine's networks: an unbound in each network's namespace, beside where HAProxy listens for metadata, which answers for
 * the network's own names by itself, and one unbound of the machine (the uplink), which asks the machine's forwarders for everything else. A
 * namespace has no way out: its resolver asks the uplink over TCP, through HAProxy (metadata-proxy.ts). All outlive the host process and are
 * found again by their files; one that died is started by the next `ensureResolvers`. A network works while they are down, but for names.
 *
 * Nothing that is asked stays unanswered: where no forwarder answers the uplink says SERVFAIL within two seconds, and at once for a while. Why
 * unbound, and why two steps: docs/decisions/0013-resolver.md.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { NetworkNames } from '../../contract/host/index.ts';
import type { Engine } from '../../engine/engine.ts';
import { ensureEngine, findEngine, stopEngine } from '../../engine/process.ts';
import { boundedEngine } from './bounded-engine.ts';

/** A network whose guests are answered here. */
export interface ResolvedNetwork {
  id: string;
  namespace: string;
  /** Absent: control is older, and says nothing about names. */
  names?: NetworkNames | undefined;
}

export interface ResolverOptions {
  runDirectory: string;
  logDirectory: string;
  /** Name servers that know the outside: ADDRESS, or ADDRESS@PORT. */
  forwarders: readonly string[];
}

/** Of this machine alone; HAProxy connects to it for the networks. */
export const uplinkListens = { address: '127.97.0.53', port: 5301 } as const;
/** Where HAProxy listens in each namespace, for its resolver. */
export const uplinkInside = { address: '127.0.0.1', port: 5301 } as const;

/** Debian's package makes it. */
const user = 'unbound';
const uplink = 'uplink';
/** More than this a resolver never has: its caches are small, and the rest is what it answers at a time. */
const dataBytes = 96 * 1024 * 1024;

/**
 * What both have in common. Each wait is shorter than those of guests' resolvers (5 s), also one after the other: a forwarder that is silent is
 * asked once more, and known as silent for the next seconds. `discard-timeout` of Debian's 1.17.1 drops what took longer than 1.9 s without a word.
 * Validation is the guest's or the forwarder's: a forwarder that strips signatures must not make a cloud nameless, so no `validator`.
 */
const common = [
  '  do-daemonize: no',
  `  username: "${user}"`,
  '  chroot: ""',
  '  pidfile: ""',
  '  use-syslog: no',
  '  log-time-ascii: yes',
  '  num-threads: 1',
  '  msg-cache-size: 512k',
  '  rrset-cache-size: 1m',
  '  key-cache-size: 64k',
  '  neg-cache-size: 64k',
  '  outgoing-range: 128',
  '  num-queries-per-thread: 64',
  '  incoming-num-tcp: 16',
  '  jostle-timeout: 1000',
  '  discard-timeout: 20000',
  '  infra-cache-numhosts: 100',
  '  infra-host-ttl: 3',
  '  infra-cache-max-rtt: 1500',
  '  hide-identity: yes',
  '  hide-version: yes',
  '  minimal-responses: yes',
];

/** unbound.conf of a network's resolver; pure, and the same text for the same content. `inode` tells a namespace from a later one with its name. */
export function resolverConfig({ names, namespace, inode }: ResolvedNetwork & { inode: number }): string {
  const { domain, dns64, hosts } = names ?? { domain: '', hosts: [] };
  // Of an address with several names the first is what a reverse look-up tells.
  const firstNames = new Map(hosts.toReversed().flatMap(({ name, ips }) => ips.map((ip) => [ip, name] as const)));
  const record = (name: string, ip: string) =>
    `  local-data: "${name}. ${ttlSeconds} ${isIP(ip) === 6 ? 'AAAA' : 'A'} ${ip}"`;
  // What it answers by itself it synthesizes nothing for. By the last name guests find out the prefix (RFC 7050).
  const known =
    dns64 === undefined ? hosts : [...hosts, { name: 'ipv4only.arpa', ips: ['192.0.0.170', '192.0.0.171'] }];
  const records = [
    ...known.flatMap(({ name, ips }) => [...ips, ...synthesized(ips, dns64)].map((ip) => record(name, ip))),
    ...firstNames.entries().map(([ip, name]) => `  local-data-ptr: "${ip} ${ttlSeconds} ${name}."`),
  ];
  return `${[
    `# ${namespace} inode ${inode}`,
    'server:',
    ...common,
    `  module-config: "${dns64 === undefined ? 'iterator' : 'dns64 iterator'}"`,
    ...(dns64 === undefined ? [] : [`  dns64-prefix: ${dns64}`]),
    // Whatever addresses the network's subnets give it, also later; answers come from the address that was asked.
    '  interface: 0.0.0.0',
    '  interface: ::0',
    '  interface-automatic: yes',
    '  access-control: 0.0.0.0/0 allow',
    '  access-control: ::0/0 allow',
    '  do-not-query-localhost: no',
    '  tcp-upstream: yes',
    '  tcp-auth-query-timeout: 4000',
    '  tcp-reuse-timeout: 1000',
    '  outbound-msg-retry: 2',
    // What is not ours in a domain of the project's own may be known outside; the cloud's own domain ends here.
    ...(domain === '' ? [] : [`  local-zone: "${domain}." ${domain === cloudDomain ? 'static' : 'transparent'}`]),
    ...records.sort(),
    'forward-zone:',
    '  name: "."',
    `  forward-addr: ${uplinkInside.address}@${uplinkInside.port}`,
  ].join('\n')}\n`;
}

/** Of who has no IPv6 address: each of the others below the prefix (RFC 6052, of 96 bits). */
const synthesized = (ips: readonly string[], prefix: string | undefined): string[] =>
  prefix === undefined || ips.some((ip) => isIP(ip) === 6) ? [] : ips.map((ip) => prefix.replace(/\/96$/, ip));

/** As unbound's own for local data, and short: a name may move to another address. */
const ttlSeconds = 30;
const cloudDomain = 'openstacklocal';

/** unbound.conf of the machine's own. */
function uplinkConfig(forwarders: readonly string[]): string {
  return `${[
    'server:',
    ...common,
    '  module-config: "iterator"',
    `  interface: ${uplinkListens.address}@${uplinkListens.port}`,
    '  do-not-query-localhost: no',
    '  outbound-msg-retry: 1',
    '  unknown-server-time-limit: 800',
    'forward-zone:',
    '  name: "."',
    // Without a forwarder everything outside is SERVFAIL at once: nothing listens there.
    ...(forwarders.length > 0 ? forwarders : ['127.0.0.1@1']).map((address) => `  forward-addr: ${address}`),
  ].join('\n')}\n`;
}

/** The name servers that the machine itself asks, as they are now; names of interfaces behind `%` are kept. */
export function machineForwarders(file = '/etc/resolv.conf'): string[] {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const found = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1]!);
  return [...new Set(found.filter((address) => isIP(address.split('%')[0]!) !== 0))];
}

const directoryOf = (runDirectory: string): string => join(runDirectory, 'names');

function engineOf(runDirectory: string, name: string, namespace?: string): Engine {
  const config = join(directoryOf(runDirectory), `${name}.conf`);
  return boundedEngine({
    ...{ name: `resolver-${name}`, program: 'unbound', user, namespace, dataBytes, config },
    args: ['-d', '-c', config],
    pidFile: join(directoryOf(runDirectory), `${name}.pid`),
  });
}

/** Makes exactly these networks' resolvers run, and the uplink while there is one. One's failure keeps nobody else from being answered. */
export async function ensureResolvers(options: ResolverOptions, networks: readonly ResolvedNetwork[]): Promise<void> {
  const { runDirectory } = options;
  mkdirSync(directoryOf(runDirectory), { recursive: true, mode: 0o755 });
  const wanted = new Map<string, { text: string; engine: Engine }>();
  const failures: unknown[] = [];
  for (const network of networks) {
    try {
      const { ino: inode } = statSync(`/run/netns/${network.namespace}`);
      const engine = engineOf(runDirectory, network.id, network.namespace);
      wanted.set(network.id, { text: resolverConfig({ ...network, inode }), engine });
    } catch (error) {
      failures.push(error);
    }
  }
  if (wanted.size > 0) {
    wanted.set(uplink, { text: uplinkConfig(options.forwarders), engine: engineOf(runDirectory, uplink) });
  }
  for (const name of present(runDirectory)) if (!wanted.has(name)) await remove(runDirectory, name);
  const logFile = join(options.logDirectory, 'resolver.log');
  const kept = await Promise.allSettled([...wanted.values()].map(({ text, engine }) => keep(text, engine, logFile)));
  failures.push(...kept.flatMap((result) => (result.status === 'rejected' ? [result.reason] : [])));
  if (failures.length > 0) throw new AggregateError(failures, 'names are not resolved on every network');
}

/** All of this machine's. */
export async function stopResolvers(runDirectory: string): Promise<void> {
  for (const name of present(runDirectory)) await remove(runDirectory, name);
}

/** Those that should run, for people. */
export const resolverEngines = (runDirectory: string): Engine[] =>
  present(runDirectory).map((name) => engineOf(runDirectory, name));

function present(runDirectory: string): string[] {
  const directory = directoryOf(runDirectory);
  if (!existsSync(directory)) return [];
  return readdirSync(directory).flatMap((file) => (file.endsWith('.conf') ? [file.slice(0, -'.conf'.length)] : []));
}

async function remove(runDirectory: string, name: string): Promise<void> {
  const { mark, pidFile, ...rest } = engineOf(runDirectory, name);
  await stopEngine({ mark, pidFile, ...rest });
  for (const file of [mark, pidFile]) rmSync(file, { force: true });
}

/** A new configuration is read by the running one, which keeps its sockets; one of another namespace of that name is replaced. */
async function keep(text: string, engine: Engine, logFile: string): Promise<void> {
  const file = engine.mark;
  const before = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  const running = findEngine(engine);
  if (before !== text) {
    writeFileSync(`${file}.new`, text, { mode: 0o644 });
    renameSync(`${file}.new`, file);
  }
  const place = (config: string) => config.split('\n', 1)[0];
  if (running !== undefined && before !== undefined && place(before) === place(text)) {
    if (before !== text) process.kill(running, 'SIGHUP');
    return;
  }
  await stopEngine(engine);
  await ensureEngine(engine, { logFile });
}
