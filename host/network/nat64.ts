/**
 * NAT64 engines (tayga) of the routers that OVN's southbound database gives to this machine: a namespace for each, a veth from it into the
 * integration bridge, plugged as the router's engine port, and a TUN device that the engine holds. Which routers, and how long their packets may
 * be, the engine's port binding says (`requested-chassis`, control/network/ovn/intent/nat64.ts): so an engine follows the gateway, also while
 * control is away. Nothing else runs in the namespace, and it has no way out but the router.
 *
 * Engines outlive the host process and are found again by their files; one that died is started by the next `ensure`. What it knows of its guests lies
 * beside its configuration, so their connections go on. If the process dies on any line the same call made again completes it.
 */
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { nat64, nat64Port, nat64Router } from '../../contract/host/index.ts';
import type { Engine } from '../../engine/engine.ts';
import { ensureEngine, findEngine, stopEngine, userIds } from '../../engine/process.ts';
import { map, OvsdbClient, text } from '../../protocols/ovsdb/index.ts';
import { boundedEngine } from './bounded-engine.ts';
import { findLink, ipBatch, listLinks, listNamespaces, nft, run, setKernel } from './command.ts';
import { guard, unguard } from './firewall.ts';
import type { MachineContext } from './machine-network.ts';
import { deleteNamespace, insideDevice } from './metadata-namespace.ts';
import { owner } from './names.ts';
import { aliasOf, plug, unplug } from './ports.ts';

/** A router whose engine runs here. */
export interface TranslatedRouter {
  id: string;
  mtu: number;
}

/** Everything that an engine has takes less than a tenth of it: its pool has 4094 addresses. */
const dataBytes = 32 * 1024 * 1024;
const user = 'nobody';
const tun = 'nat64';

/** The part of the southbound database that names this machine's engines. */
export class Nat64Bindings {
  readonly #southbound: OvsdbClient;
  #last = '';

  /** @param onChange told when another router is given to this machine, or one taken away */
  constructor(options: { southbound: string; hostId: string; onChange: () => void }) {
    const mine = ['map', [['requested-chassis', options.hostId]]];
    this.#southbound = new OvsdbClient({
      target: options.southbound,
      database: 'OVN_Southbound',
      monitor: { Port_Binding: ['logical_port', 'options'] },
      conditions: { Port_Binding: [['options', 'includes', mine]] },
    });
    const look = () => {
      const now = JSON.stringify(this.routers() ?? []);
      if (now !== this.#last) options.onChange();
      this.#last = now;
    };
    this.#southbound.replica.listen({ complete: look, changed: look });
  }

  start(): void {
    this.#southbound.start();
  }

  stop(): Promise<void> {
    return this.#southbound.stop();
  }

  /** Undefined while the database is away: nothing is known then, and nothing to be changed. */
  routers(): TranslatedRouter[] | undefined {
    const { replica } = this.#southbound;
    if (!replica.complete) return undefined;
    const found = [...replica.rows('Port_Binding').values()].flatMap((row) => {
      const id = nat64Router(text(row, 'logical_port'));
      const mtu = Number(map(row, 'options')['vif-plug-mtu-request']);
      return id !== undefined && mtu >= 1280 && mtu <= 65_535 ? [{ id, mtu }] : [];
    });
    return found.sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}

const directoryOf = (runDirectory: string): string => join(runDirectory, 'nat64');

/** tayga.conf; pure, and the same text for the same content. */
export const taygaConfig = (dataDirectory: string): string =>
  `${[
    `tun-device ${tun}`,
    `ipv4-addr ${nat64.poolFirst}`,
    `prefix ${nat64.prefix}`,
    `dynamic-pool ${nat64.pool}`,
    `data-dir ${dataDirectory}`,
  ].join('\n')}\n`;

function engineOf(runDirectory: string, routerId: string, namespace: string): Engine {
  const directory = join(directoryOf(runDirectory), routerId);
  const config = join(directory, 'tayga.conf');
  return boundedEngine({
    ...{ name: `nat64-${routerId}`, program: 'tayga', user, namespace, dataBytes, config },
    args: ['--nodetach', '--user', user, '--config', config],
    pidFile: join(directory, 'tayga.pid'),
  });
}

/** Makes exactly these routers' engines run here. One's failure keeps no other from being served; it is thrown at the end. */
export async function ensureNat64(context: MachineContext, routers: readonly TranslatedRouter[]): Promise<void> {
  const { names, options } = context;
  const { runDirectory } = options;
  const failures: unknown[] = [];
  const attempt = (work: Promise<void>) => work.catch((error) => void failures.push(error));
  const wanted = new Set(routers.map(({ id }) => id));
  for (const id of present(runDirectory)) if (!wanted.has(id)) await attempt(removeEngine(context, id));
  const namespaces = new Set(routers.map(({ id }) => names.nat64Namespace(id)));
  for (const left of await leftNamespaces(context))
    if (!namespaces.has(left)) await attempt(removePlace(context, left));
  for (const router of routers) await attempt(ensureOne(context, router));
  if (failures.length > 0) throw new AggregateError(failures, 'NAT64 is not there for every router');
}

async function ensureOne(context: MachineContext, { id, mtu }: TranslatedRouter): Promise<void> {
  const { names, options, datapath } = context;
  const namespace = names.nat64Namespace(id);
  const veth = names.nat64Veth(id);
  const engine = engineOf(options.runDirectory, id, namespace);
  const made = await makePlace(context, id);
  if (made) await stopEngine(engine);
  await inside(namespace, mtu);
  if (datapath.type === 'netdev') {
    await run('ethtool', ['-K', insideDevice, 'tx', 'off'], { netns: namespace });
    await nft(guard(names, [veth]), options);
  }
  const stamp = owner.router(id);
  await ipBatch([`link set dev ${veth} alias ${aliasOf(stamp)} addrgenmode none mtu ${mtu} up`], options);
  await plug(context, { device: veth, logicalPort: nat64Port(id), mac: nat64.engine.mac, owner: stamp });
  await keep(engine, join(directoryOf(options.runDirectory), id), mtu, options.logDirectory);
}

/** True where it is new. */
async function makePlace({ names, options, client, datapath }: MachineContext, id: string): Promise<boolean> {
  const namespace = names.nat64Namespace(id);
  const veth = names.nat64Veth(id);
  const isNew = !(await listNamespaces(options)).includes(namespace);
  if (isNew) await run('ip', ['netns', 'add', namespace]);
  const within = { netns: namespace };
  if (!(await findLink(veth, options)) || !(await findLink(insideDevice, within))) {
    await unplug({ names, options, client, datapath }, veth);
    if (await findLink(veth, options)) await ipBatch([`link del dev ${veth}`], options);
    await setKernel({ 'net/ipv6/conf/default/accept_ra': '0', 'net/ipv6/conf/default/accept_redirects': '0' }, within);
    await ipBatch([`link add dev ${veth} type veth peer name ${insideDevice} netns ${namespace}`], options);
  }
  if (!(await findLink(tun, within))) await ipBatch([`tuntap add dev ${tun} mode tun user ${user}`], within);
  return isNew;
}

async function inside(namespace: string, mtu: number): Promise<void> {
  const within = { netns: namespace };
  const { engine, router } = nat64;
  await ipBatch(
    [
      'link set dev lo up',
      `link set dev ${insideDevice} addrgenmode none address ${engine.mac} mtu ${mtu} up`,
      `link set dev ${tun} addrgenmode none mtu ${mtu} up`,
      `addr replace ${engine.ip4}/${nat64.link.split('/')[1]} dev ${insideDevice}`,
      `addr replace ${engine.ip6}/64 dev ${insideDevice} nodad`,
      `route replace default via ${router.ip4} dev ${insideDevice}`,
      `route replace ${nat64.pool} dev ${tun}`,
      `route replace default via ${router.ip6} dev ${insideDevice}`,
      `route replace ${nat64.prefix} dev ${tun}`,
    ],
    within,
  );
  await setKernel({ 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1' }, within);
}

/** The engine reads the device's MTU when it starts. */
async function keep(engine: Engine, directory: string, mtu: number, logDirectory: string): Promise<void> {
  const { uid, gid } = userIds(user);
  const data = join(directory, 'guests');
  mkdirSync(data, { recursive: true, mode: 0o755 });
  chownSync(data, uid, gid);
  const text = `# MTU ${mtu}\n${taygaConfig(data)}`;
  const before = existsSync(engine.mark) ? readFileSync(engine.mark, 'utf8') : undefined;
  if (before === text && findEngine(engine) !== undefined) return;
  if (!isInstalled('tayga'))
    throw new Error('a router with NAT64 has its gateway here, and the package tayga is missing');
  writeFileSync(`${engine.mark}.new`, text, { mode: 0o644 });
  renameSync(`${engine.mark}.new`, engine.mark);
  await stopEngine(engine);
  await ensureEngine(engine, { logFile: join(logDirectory, 'nat64.log') });
}

const isInstalled = (program: string): boolean =>
  (process.env.PATH ?? '').split(':').some((directory) => existsSync(join(directory, program)));

async function removeEngine({ names, options }: MachineContext, id: string): Promise<void> {
  await stopEngine(engineOf(options.runDirectory, id, names.nat64Namespace(id)));
  rmSync(join(directoryOf(options.runDirectory), id), { recursive: true, force: true });
}

async function removePlace(context: MachineContext, namespace: string): Promise<void> {
  const { names, options } = context;
  const veth = names.nat64VethOf(namespace);
  await unplug(context, veth);
  if (await findLink(veth, options)) await ipBatch([`link del dev ${veth}`], options);
  await nft(unguard(names, veth), options);
  await deleteNamespace(namespace, options);
}

/** Namespaces of engines, and those whose veth is the only thing left. */
async function leftNamespaces({ names, options }: MachineContext): Promise<Set<string>> {
  const found = new Set((await listNamespaces(options)).filter((name) => names.nat64NamespacePattern.test(name)));
  for (const { ifname } of await listLinks(options)) {
    if (names.nat64VethPattern.test(ifname)) found.add(names.nat64NamespaceOf(ifname));
  }
  return found;
}

function present(runDirectory: string): string[] {
  const directory = directoryOf(runDirectory);
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** All of this machine's. */
export async function stopNat64(runDirectory: string): Promise<void> {
  for (const engine of nat64Engines(runDirectory)) await stopEngine(engine);
  rmSync(directoryOf(runDirectory), { recursive: true, force: true });
}

/** Those that should run, for people. They are found by their files: the namespace does not matter. */
export const nat64Engines = (runDirectory: string): Engine[] =>
  present(runDirectory).map((id) => engineOf(runDirectory, id, ''));
