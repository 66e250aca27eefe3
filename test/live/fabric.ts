/**
 * What several machines of live tests (live-machine.ts) are joined by: a switch for their tunnels and for the southbound database, and one that
 * is the external network, with an endpoint outside. A machine is cut off by taking its cables out: it sees no carrier go.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ovnCentralSockets } from '../../engine/ovn-central.ts';
import { callControl } from '../../engine/ovs-daemon.ts';
import type { TestMachine } from './live-machine.ts';

const execute = promisify(execFile);
const ip = (...args: string[]) => execute('ip', args, { timeout: 10_000 });

const switches = ['tunnels', 'outer'] as const;

export class Fabric {
  readonly netns: string;
  /** Somebody on the external network. */
  readonly outside: string;
  /** Where machines reach the southbound database. */
  readonly southbound = 'tcp:10.9.0.254:6642';
  readonly #link: string;
  readonly #outer: boolean[] = [];

  constructor(tag: string) {
    this.netns = `bt${tag}fab`;
    this.outside = `bt${tag}out`;
    this.#link = `${tag}mgmt`;
  }

  /** @param addresses of the endpoint outside, in CIDR form */
  async start(addresses: string[]): Promise<void> {
    for (const netns of [this.netns, this.outside]) await ip('netns', 'add', netns);
    for (const name of switches) {
      await ip('-n', this.netns, 'link', 'add', name, 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0');
      await ip('-n', this.netns, 'link', 'set', name, 'up');
    }
    await ip('link', 'add', this.#link, 'type', 'veth', 'peer', 'name', 'mgmt', 'netns', this.netns);
    await ip('addr', 'add', '10.9.0.254/24', 'dev', this.#link);
    await ip('link', 'set', this.#link, 'up');
    await this.#join('mgmt', 'tunnels');
    // Frames that the userspace datapath reads must have their checksums.
    await execute('ethtool', ['-K', this.#link, 'tx', 'off']);
    await ip('-n', this.outside, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'out', 'netns', this.netns);
    await ip('-n', this.outside, 'link', 'set', 'lo', 'up');
    await ip('netns', 'exec', this.outside, 'ethtool', '-K', 'eth0', 'tx', 'off');
    for (const address of addresses) {
      await ip('-n', this.outside, 'addr', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []));
    }
    await ip('-n', this.outside, 'link', 'set', 'eth0', 'up');
    await this.#join('out', 'outer');
  }

  /**
   * A card for tunnels, and with `outer` one on the external network. To be called before the machine's driver starts.
   * @param options.physicalNetwork what that one is called on the machine
   */
  async plug(
    machine: TestMachine,
    { outer, physicalNetwork = 'physnet1' }: { outer: boolean; physicalNetwork?: string },
  ): Promise<void> {
    const index = this.#outer.push(outer);
    for (const name of outer ? switches : switches.slice(0, 1)) {
      const peer = ['peer', 'name', `${name}${index}`, 'netns', this.netns];
      await ip('-n', machine.netns, 'link', 'add', name, 'type', 'veth', ...peer);
      await this.#join(`${name}${index}`, name);
    }
    const address = `10.9.0.${index}`;
    machine.options.encapsulation.ip = address;
    machine.options.underlay = { device: 'tunnels', address: `${address}/24` };
    machine.options.southbound = this.southbound;
    if (outer) machine.options.external = { physicalNetwork, addresses: [], device: 'outer' };
    else delete machine.options.external;
  }

  /** @param index of the machine, in the order in which they were plugged, from 0 */
  async cut(index: number): Promise<void> {
    for (const card of this.#cards(index)) await ip('-n', this.netns, 'link', 'set', card, 'nomaster');
  }

  async mend(index: number): Promise<void> {
    for (const card of this.#cards(index)) await this.#join(card, card.replace(/\d+$/, ''));
  }

  async remove(): Promise<void> {
    for (const netns of [this.outside, this.netns]) await ip('netns', 'del', netns).catch(() => {});
  }

  #cards(index: number): string[] {
    return switches.slice(0, this.#outer[index] ? 2 : 1).map((name) => `${name}${index + 1}`);
  }

  async #join(card: string, name: string): Promise<void> {
    await ip('-n', this.netns, 'link', 'set', card, 'master', name, 'up');
  }
}

/** The southbound database, which listens on a socket only, is made to listen on the fabric. */
export async function listenForMachines(central: TestMachine): Promise<void> {
  const { directory } = ovnCentralSockets(central.runDirectory);
  await callControl(join(directory, 'ovn-southbound.ctl'), 'ovsdb-server/add-remote', ['ptcp:6642:10.9.0.254']);
}
