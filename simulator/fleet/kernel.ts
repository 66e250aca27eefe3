/**
 * The kernel of a simulated machine as `ip`, `nft` and `ethtool` show it to the network driver: devices, addresses,
 * namespaces, nft tables, variables. Owns nothing outside this process. It understands the commands that the driver
 * gives, fails as the tools fail, and refuses every other command, so that a new one is taught here first.
 */
import { CommandError, type CommandMachine, type Link } from '../../host/network/command.ts';
import { Nftables } from './nftables.ts';

interface Device extends Link {
  addresses: string[];
  /** The other end of a veth. */
  peer?: { namespace: string; name: string };
}

interface Namespace {
  devices: Map<string, Device>;
  nftables: Nftables;
  variables: Map<string, string>;
}

/** The namespace that the machine itself is in. */
const root = '';

export class FakeKernel {
  readonly #namespaces = new Map<string, Namespace>([[root, newNamespace()]]);
  readonly #listeners = new Set<() => void>();
  /** Every command, as it was given. */
  readonly history: string[] = [];
  /** What the next command with these words in it fails with. */
  readonly failures = new Map<string, string>();

  /** Names of the devices in the machine's own namespace. */
  devices(): string[] {
    return [...this.#namespaces.get(root)!.devices.keys()];
  }

  has(device: string): boolean {
    return this.#namespaces.get(root)!.devices.has(device);
  }

  get namespaces(): string[] {
    return [...this.#namespaces.keys()].filter((name) => name !== root);
  }

  nftables(namespace = root): Nftables {
    return this.#of(namespace).nftables;
  }

  /** A device came or went. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Nothing in a kernel outlasts the power. */
  reset(): void {
    this.#namespaces.clear();
    this.#namespaces.set(root, newNamespace());
    this.#changed();
  }

  /** What one host process commands it by. Severed: that process was killed, and waits for ever. */
  commands(): CommandMachine & { sever(): void } {
    let severed = false;
    const guarded = async <T>(work: () => T): Promise<T> => {
      if (severed) return new Promise<T>(() => {});
      // A real command takes its time: nothing has happened when the call returns.
      await new Promise((resolve) => setImmediate(resolve));
      return severed ? new Promise<T>(() => {}) : work();
    };
    return {
      run: (command, args, { netns = root, input = '' }) => guarded(() => this.#run(command, args, netns, input)),
      setKernel: (values, netns = root) =>
        guarded(() => {
          for (const [path, value] of Object.entries(values)) this.#of(netns).variables.set(path, value);
        }),
      getKernel: (path, netns = root) => guarded(() => this.#of(netns).variables.get(path) ?? '0'),
      sever: () => {
        severed = true;
      },
    };
  }

  #run(command: string, args: string[], netns: string, input: string): string {
    const words = [command, ...args].join(' ');
    this.history.push(input === '' ? words : `${words}: ${input.trimEnd()}`);
    for (const [part, stderr] of this.failures) {
      if (!`${words} ${input}`.includes(part)) continue;
      this.failures.delete(part);
      throw failed(words, stderr);
    }
    const namespace = this.#of(netns);
    switch (command) {
      case 'ip':
        return this.#ip(words, args, { name: netns, namespace, input });
      case 'nft':
        return this.#nft(words, args, namespace, input);
      case 'ethtool':
        if (!namespace.devices.has(args[1] ?? '')) throw failed(words, 'netlink error: No such device');
        return '';
      default:
        throw failed(words, `${command}: the simulated machine does not know this command`);
    }
  }

  #nft(words: string, args: string[], { nftables, devices }: Namespace, input: string): string {
    const [first, second, family, table] = args;
    try {
      if (first === '-f' && second === '-') nftables.apply(input, (device) => devices.has(device));
      else if (first === 'list' && second === 'table') return nftables.list(`${family} ${table}`);
      else throw new Error('syntax error');
      return '';
    } catch (error) {
      throw failed(words, `Error: ${(error as Error).message}`);
    }
  }

  #ip(words: string, args: string[], at: { name: string; namespace: Namespace; input: string }): string {
    const options = args.filter((word) => word.startsWith('-') && word !== '-');
    const rest = args.filter((word) => !word.startsWith('-') || word === '-');
    if (options.includes('-batch')) {
      for (const line of at.input.split('\n')) if (line.trim() !== '') this.#line(line.trim().split(/\s+/), at);
      return '';
    }
    const { devices } = at.namespace;
    const call = rest.join(' ');
    if (call === 'netns list') return this.namespaces.map((name) => `${name}\n`).join('');
    if (rest[0] === 'netns') return this.#netns(words, rest[1]!, rest[2]!);
    if (call === 'link show') return JSON.stringify([...devices.values()].map(shown));
    if (call.startsWith('link show dev ')) return JSON.stringify([shown(this.#device(rest[3]!, at.namespace, words))]);
    if (call.startsWith('addr show dev ')) {
      const device = this.#device(rest[3]!, at.namespace, words);
      return JSON.stringify([{ ...shown(device), addr_info: device.addresses.map(addressInfo) }]);
    }
    if (call.startsWith('route show ')) return '[]';
    throw failed(words, `Command "${call}" is unknown to the simulated machine`);
  }

  #netns(words: string, verb: string, name: string): string {
    if (verb === 'add') {
      if (this.#namespaces.has(name))
        throw failed(words, `Cannot create namespace file "/run/netns/${name}": File exists`);
      this.#namespaces.set(name, newNamespace());
      return '';
    }
    const gone = this.#namespaces.get(name);
    if (verb !== 'del' || !gone || name === root) {
      throw failed(words, `Cannot remove namespace file "/run/netns/${name}": No such file or directory`);
    }
    for (const { peer } of gone.devices.values())
      if (peer) this.#namespaces.get(peer.namespace)?.devices.delete(peer.name);
    this.#namespaces.delete(name);
    this.#changed();
    return '';
  }

  /** One line of `ip -batch`. */
  #line(line: string[], { name: netns, namespace }: { name: string; namespace: Namespace }): void {
    const words = `ip ${line.join(' ')}`;
    const [object, verb] = line;
    const value = (key: string) => (line.includes(key) ? line[line.indexOf(key) + 1] : undefined);
    const name = value('dev') ?? '';
    if (object === 'tuntap' && verb === 'add') {
      if (namespace.devices.has(name)) throw failed(words, 'ioctl(TUNSETIFF): Device or resource busy');
      checkName(name, words);
      const user = value('user') ?? '0';
      namespace.devices.set(name, newDevice(name, { info_kind: 'tun', info_data: { type: 'tap', user } }));
    } else if (object === 'link' && verb === 'add' && value('type') === 'veth') {
      this.#addVeth(words, { namespace: netns, name }, { namespace: value('netns') ?? netns, name: value('name')! });
    } else if (object === 'link' && verb === 'set') {
      this.#setLink(this.#device(name, namespace, words), line.slice(4), words);
    } else if (object === 'link' && verb === 'del') {
      const { peer } = this.#device(name, namespace, words);
      namespace.devices.delete(name);
      if (peer) this.#namespaces.get(peer.namespace)?.devices.delete(peer.name);
    } else if (object === 'addr' && (verb === 'add' || verb === 'del')) {
      const { addresses } = this.#device(name, namespace, words);
      const at = addresses.indexOf(line[2]!);
      if (verb === 'add' && at >= 0) throw failed(words, 'RTNETLINK answers: File exists');
      if (verb === 'del' && at < 0) throw failed(words, 'RTNETLINK answers: Cannot assign requested address');
      if (verb === 'add') addresses.push(line[2]!);
      else addresses.splice(at, 1);
    } else throw failed(words, 'the simulated machine does not know this command');
    this.#changed();
  }

  #addVeth(words: string, near: { namespace: string; name: string }, far: { namespace: string; name: string }): void {
    for (const end of [near, far]) {
      checkName(end.name, words);
      const { devices } = this.#of(end.namespace);
      if (devices.has(end.name)) throw failed(words, 'RTNETLINK answers: File exists');
    }
    this.#of(near.namespace).devices.set(near.name, { ...newDevice(near.name, { info_kind: 'veth' }), peer: far });
    this.#of(far.namespace).devices.set(far.name, { ...newDevice(far.name, { info_kind: 'veth' }), peer: near });
  }

  #setLink(device: Device, settings: string[], words: string): void {
    for (let at = 0; at < settings.length; at++) {
      const key = settings[at]!;
      if (key === 'up') {
        device.flags = [...new Set([...device.flags, 'UP'])];
        device.operstate = 'UP';
        continue;
      }
      const value = settings[++at];
      if (value === undefined) throw failed(words, `Command line is not complete`);
      if (key === 'alias') device.ifalias = value;
      else if (key === 'mtu') device.mtu = Number(value);
      else if (key === 'address') device.address = value;
      else if (key !== 'addrgenmode')
        throw failed(words, `Error: either "dev" is duplicate, or "${key}" is a garbage.`);
    }
  }

  #device(name: string, { devices }: Namespace, words: string): Device {
    const device = devices.get(name);
    if (!device) throw failed(words, `Cannot find device "${name}"\nDevice "${name}" does not exist.`);
    return device;
  }

  #of(netns: string): Namespace {
    const namespace = this.#namespaces.get(netns);
    if (!namespace)
      throw failed(`ip -n ${netns}`, `Cannot open network namespace "${netns}": No such file or directory`);
    return namespace;
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function newNamespace(): Namespace {
  const lo = newDevice('lo');
  return { devices: new Map([['lo', lo]]), nftables: new Nftables(), variables: new Map() };
}

function newDevice(ifname: string, linkinfo?: Link['linkinfo']): Device {
  return { ifname, mtu: 1500, flags: [], operstate: 'DOWN', addresses: [], ...(linkinfo && { linkinfo }) };
}

const shown = ({ addresses: _addresses, peer: _peer, ...link }: Device): Link => link;

function addressInfo(cidr: string) {
  const [local, length] = cidr.split('/') as [string, string];
  return { local, prefixlen: Number(length), scope: /^fe80:/i.test(local) ? 'link' : 'global' };
}

function checkName(name: string, words: string): void {
  if (name.length === 0 || name.length > 15) throw failed(words, `"${name}" is not a valid ifname`);
}

const failed = (words: string, stderr: string) =>
  new CommandError(words.slice(0, 200), stderr, new Error('exit status 1'));
