/**
 * One HAProxy for the metadata of all networks on this machine, and the way out of their resolvers (resolver.ts): it listens in each network's namespace and hands over to
 * the host process by a unix socket, saying on which network and from which address the request came. Whatever the
 * guest claimed about either is dropped. It outlives the host process; it runs only while there is a network.
 */
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { serverLimits } from '../../contract/host/limits.ts';
import type { Engine } from '../../engine/engine.ts';
import { ensureEngine, findEngine, stopEngine, userIds } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { run } from './command.ts';
import { insideDevice, metadataAddresses } from './metadata-namespace.ts';
import type { ServedNetwork } from './options.ts';
import { uplinkInside, uplinkListens } from './resolver.ts';

/** Keeps a request until the host process listens; cloud-init repeats nothing that was answered. */
const awaitHost = join(import.meta.dirname, 'await-host.lua');

const networkHeader = 'X-Bothy-Network';
/** When the guest asked, in ms of the epoch: what it waited here counts. */
export const askedHeader = 'x-bothy-asked-at';

export interface ProxiedNetwork extends Pick<ServedNetwork, 'id' | 'namespace'> {
  /** Tells a namespace from a later one with the same name. */
  inode: number;
}

export interface ProxyConfigInput {
  networks: ProxiedNetwork[];
  /** Unix socket of the metadata service. */
  backend: string;
  ids: { uid: number; gid: number };
  /** The script that keeps requests while nobody listens there; another place than this tree's only for tests. */
  script?: string;
}

/**
 * What a network, and what an address in it, may have open at once. The process as a whole has room for all networks' shares: a guest
 * that keeps connections open, on one network or on thirty, takes those of nobody else.
 */
const perNetwork = 64;
const perAddress = 8;
/** What a network's resolver may have asked at once. */
const questionsPerNetwork = 16;

/** haproxy.cfg; pure, and the same text for the same content. */
export function proxyConfig({ networks, backend, ids, script = awaitHost }: ProxyConfigInput): string {
  const waiting = `${dirname(backend)}/waiting.sock`;
  const sorted = [...networks].sort((a, b) => (a.id < b.id ? -1 : 1));
  const lines = [
    'global',
    `  uid ${ids.uid}`,
    `  gid ${ids.gid}`,
    '  nbthread 1',
    // Each request is a connection of its own in the second step, too.
    `  maxconn ${(2 * perNetwork + questionsPerNetwork) * Math.max(networks.length, 1)}`,
    // After a reload the old worker may linger no longer than this, with whatever a guest keeps open.
    '  hard-stop-after 15s',
    `  lua-load '${script}'`,
    '',
    'defaults',
    '  mode http',
    '  timeout connect 2s',
    '  timeout client 10s',
    '  timeout server 10s',
    '  timeout http-request 5s',
    '  timeout http-keep-alive 2s',
    '  http-reuse never',
    '',
    // Two steps: what the second one says of a host process that died over a request (502, 503) is asked again by the first, and the second
    // waits for its successor. By itself HAProxy 2.6 tries a unix socket that is not there all its times within a millisecond.
    'backend host',
    '  retries 3',
    '  retry-on 502 503 empty-response',
    `  server waiting unix@${waiting}`,
    '',
    'frontend waiting',
    `  bind unix@${waiting} mode 600 uid ${ids.uid}`,
    `  http-request set-var(txn.host_socket) str(${backend})`,
    '  http-request lua.await_host',
    '  default_backend direct',
    '',
    'backend direct',
    '  retries 0',
    `  server host unix@${backend}`,
    '',
    'backend uplink',
    '  mode tcp',
    `  server uplink ${uplinkListens.address}:${uplinkListens.port}`,
  ];
  return `${[...lines, ...sorted.flatMap(frontend)].join('\n')}\n`;
}

const frontend = ({ id, namespace, inode }: ProxiedNetwork): string[] => [
  '',
  `# ${namespace} inode ${inode}`,
  `frontend ${id}`,
  `  maxconn ${perNetwork}`,
  `  bind ${metadataAddresses.ipv4}:80 namespace ${namespace}`,
  `  bind [${metadataAddresses.ipv6}]:80 interface ${insideDevice} namespace ${namespace}`,
  '  stick-table type ipv6 size 1k expire 30s store conn_cur',
  '  tcp-request connection track-sc0 src',
  `  tcp-request connection reject if { sc0_conn_cur gt ${perAddress} }`,
  // A body is a password or nothing: it is here before the host process hears of the request, so none that does not come keeps a connection.
  '  acl password path_reg ^/+openstack/+[^/]+/+password/*$',
  '  http-request deny deny_status 413 if { req.hdr_cnt(transfer-encoding) gt 0 }',
  '  http-request deny deny_status 413 if { req.hdr_val(content-length) gt 0 } !password',
  `  http-request deny deny_status 413 if { req.hdr_val(content-length) gt ${serverLimits.guestPasswordLength} }`,
  '  http-request wait-for-body time 5s if password { req.hdr_val(content-length) gt 0 }',
  `  http-request set-header ${networkHeader} ${id}`,
  `  http-request set-header ${askedHeader} %[date(0,ms)]`,
  '  http-request set-header X-Forwarded-For %[src]',
  '  http-request del-header Forwarded',
  '  default_backend host',
  '',
  `frontend names-${id}`,
  '  mode tcp',
  `  maxconn ${questionsPerNetwork}`,
  `  bind ${uplinkInside.address}:${uplinkInside.port} namespace ${namespace}`,
  '  default_backend uplink',
];

/**
 * What the running HAProxy needs for the new configuration. A reload hands the listening sockets on by the *name* of
 * their namespace, so after a namespace was made anew only a restart listens in the right one.
 */
export function neededAction(before: string | undefined, after: string): 'none' | 'reload' | 'restart' {
  if (before === after) return 'none';
  const old = inodes(before ?? '');
  for (const [namespace, inode] of inodes(after)) {
    if (old.has(namespace) && old.get(namespace) !== inode) return 'restart';
  }
  return 'reload';
}

function inodes(config: string): Map<string, string> {
  return new Map([...config.matchAll(/^# (\S+) inode (\d+)$/gm)].map((match) => [match[1]!, match[2]!]));
}

export function metadataPaths(runDirectory: string) {
  const directory = join(runDirectory, 'metadata');
  return {
    directory,
    /** The metadata service listens here. */
    socket: join(directory, 'service.sock'),
    config: join(directory, 'haproxy.cfg'),
    pidFile: join(directory, 'haproxy.pid'),
    master: join(directory, 'master.sock'),
  };
}

export interface ProxyOptions {
  runDirectory: string;
  logDirectory: string;
  user: string;
}

export function proxyEngine({ runDirectory }: Pick<ProxyOptions, 'runDirectory'>): Engine {
  const { directory, config, pidFile, master } = metadataPaths(runDirectory);
  return {
    name: 'metadata-proxy',
    command: 'haproxy',
    // -W: a master that stays, so that SIGUSR2 reloads without a moment of deafness.
    args: ['-W', '-db', '-f', config, '-p', pidFile, '-S', `${master},mode,600`],
    env: {},
    after: [],
    restartAlso: [],
    outlives: 'guests',
    pidFile,
    pidFileWriter: 'engine',
    mark: config,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 5000,
    prepare: async () => {
      mkdirSync(directory, { recursive: true, mode: 0o750 });
    },
    ready: (signal) =>
      waitUntil('HAProxy to have a worker', async () => (await workers(master)).current > 0, {
        timeoutMs: 10_000,
        ...(signal ? { signal } : {}),
      }),
  };
}

/** Makes HAProxy serve exactly these networks. */
export async function ensureProxy(options: ProxyOptions, networks: ServedNetwork[]): Promise<void> {
  const paths = metadataPaths(options.runDirectory);
  const engine = proxyEngine(options);
  if (networks.length === 0) {
    await stopEngine(engine);
    rmSync(paths.config, { force: true });
    return;
  }
  const ids = userIds(options.user);
  prepareDirectory(paths.directory, ids.gid);
  const config = proxyConfig({
    networks: networks.map((network) => ({ ...network, inode: statSync(`/run/netns/${network.namespace}`).ino })),
    backend: paths.socket,
    ids,
  });
  const running = findEngine(engine);
  const action = neededAction(existsSync(paths.config) ? readFileSync(paths.config, 'utf8') : undefined, config);
  if (running !== undefined && action === 'none') return;
  if (action !== 'none') await install(paths.config, config);
  if (running !== undefined && action === 'reload' && (await reload(running, paths.master))) return;
  await stopEngine(engine);
  await ensureEngine(engine, { logFile: join(options.logDirectory, 'metadata-proxy.log') });
}

/** The service's socket lies here: only root and HAProxy's group come near it. */
export function prepareDirectory(directory: string, gid: number): void {
  mkdirSync(dirname(directory), { recursive: true, mode: 0o755 });
  mkdirSync(directory, { recursive: true, mode: 0o750 });
  chownSync(directory, 0, gid);
}

async function install(file: string, config: string): Promise<void> {
  const draft = `${file}.new`;
  writeFileSync(draft, config, { mode: 0o600 });
  await run('haproxy', ['-c', '-q', '-f', draft]);
  renameSync(draft, file);
}

/** True once a new worker serves; false where the reload failed and the old worker goes on. */
async function reload(pid: number, master: string): Promise<boolean> {
  const before = await workers(master);
  process.kill(pid, 'SIGUSR2');
  try {
    const reloaded = async () => {
      const now = await workers(master);
      return now.reloads > before.reloads && now.current > 0;
    };
    await waitUntil('HAProxy to reload', reloaded, { timeoutMs: 5000 });
    return true;
  } catch {
    return false;
  }
}

/** Asks the master's command line: how often it reloaded, and how many workers run the present configuration. */
async function workers(master: string): Promise<{ reloads: number; current: number }> {
  return parseProcesses(await ask(master, 'show proc'));
}

export function parseProcesses(answer: string): { reloads: number; current: number } {
  let section = '';
  let reloads = 0;
  let current = 0;
  for (const line of answer.split('\n')) {
    if (line.startsWith('# ')) section = line.slice(2).trim();
    const [, type, count] = line.trim().split(/\s+/);
    if (type === 'master') reloads = Number(count);
    if (type === 'worker' && section === 'workers') current += 1;
  }
  return { reloads, current };
}

function ask(socketPath: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(socketPath, () => socket.end(`${command}\n`));
    socket.setTimeout(2000, () => socket.destroy(new Error('HAProxy does not answer')));
    socket.setEncoding('utf8').on('data', (text) => {
      answer += text;
    });
    socket.on('error', reject).on('end', () => resolve(answer));
  });
}
