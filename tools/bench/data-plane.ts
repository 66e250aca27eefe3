/**
 * `npm run bench -- data-plane [--beside COMMIT]`: how soon what is asked for by the API is so for packets, with few ports and with many. As root.
 *
 * The many are in one network and one security group, and not plugged: what they cost is the databases' and the daemons' work on them.
 */
import { join } from 'node:path';
import { unpackCommit } from './beside.ts';
import { DataPlaneWorld, type Guest, type Passed } from './data-plane-world.ts';

/** Milliseconds from the request to the first packet, by half of them; of the rate of a pipeline by hand. */
const targets = { effectMs: 25, ofByHand: 0.95 };
const sizes = [10, 1000];
const warming = 6;
const kinds = ['security group rule', 'floating IP moved', 'port made and plugged'] as const;
type Kind = (typeof kinds)[number];
const hops = ['answered', 'northbound', 'southbound'] as const;

/** @param beside another commit, whose control is measured in turns with this one's */
export async function benchDataPlane(options: { rounds: number; beside?: string | undefined; scratch: string }) {
  if (process.getuid!() !== 0) return { text: 'not measured, this needs root', missed: [] };
  await using stack = new AsyncDisposableStack();
  const planes = [new DataPlane(stack.use(await DataPlaneWorld.start()))];
  if (options.beside !== undefined && options.beside !== 'none') {
    const source = join(options.scratch, 'beside');
    console.log(`beside ${unpackCommit(options.beside, source)}`);
    planes.push(new DataPlane(stack.use(await DataPlaneWorld.start(source))));
  }
  for (const plane of planes) await plane.prepare();
  for (const size of sizes) {
    for (const plane of planes) {
      await plane.grow(size);
      // What is measured is warm: code compiled, and the plans that PostgreSQL makes once a statement was asked for five times.
      for (let time = 0; time < warming; time++) await plane.round(size);
    }
    for (const plane of planes) plane.forget(size);
    for (let round = 0; round < options.rounds; round++) {
      for (const plane of round % 2 === 0 ? planes : planes.toReversed()) await plane.round(size);
    }
  }
  return table(planes, await planes[0]!.rates(options.rounds));
}

function table([here, beside]: readonly DataPlane[], { byOvn, byHand }: { byOvn: number; byHand: number }) {
  const missed: string[] = [];
  const lines: string[] = [];
  for (const size of sizes) {
    for (const kind of kinds) {
      const [p50, p99] = here!.quantiles(kind, size).map((ms) => ms.toFixed(1));
      const other = beside?.quantiles(kind, size).map((ms) => ms.toFixed(1));
      const met = Number(p50) < targets.effectMs;
      const name = `${kind}, ${size} ports, p50 / p99 ms`;
      if (!met) missed.push(name);
      const row = `${name.padEnd(52)} ${p50} / ${p99}${other ? `; beside ${other.join(' / ')}` : ''}`;
      lines.push(`${row}${met ? '' : ' MISSED'}`, `  ${wayOf(here!, kind, size)}`);
      if (beside) lines.push(`  beside: ${wayOf(beside, kind, size)}`);
    }
  }
  const ratio = byOvn / byHand;
  const name = 'TCP between guests, of that by hand';
  if (ratio < targets.ofByHand) missed.push(name);
  const figures = `${(100 * ratio).toFixed(1)} % (${byOvn.toFixed(0)} / ${byHand.toFixed(0)} Mbit/s)`;
  lines.push(`${name.padEnd(52)} ${figures}${ratio < targets.ofByHand ? ' MISSED' : ''}`);
  return { text: lines.join('\n'), missed };
}

/** By half of them. */
const wayOf = (plane: DataPlane, kind: Kind, size: number): string =>
  hops.map((hop) => `${hop} ${plane.quantiles(`${hop}: ${kind}`, size)[0].toFixed(1)}`).join(', ');

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

class DataPlane {
  readonly world: DataPlaneWorld;
  readonly #times = new Map<string, number[]>();
  readonly #ids: Record<string, string> = {};
  readonly #guests: Record<string, Guest> = {};
  #ports = 0;

  constructor(world: DataPlaneWorld) {
    this.world = world;
  }

  async prepare(): Promise<void> {
    const { world } = this;
    const ids = this.#ids;
    const make = async (noun: string, body: object) =>
      (await world.ask('POST', `/${noun.replaceAll('_', '-')}s`, { [noun]: body }))[noun];
    ids.outer = (
      await make('network', {
        ...{ name: 'outer', 'router:external': true },
        ...{ 'provider:network_type': 'flat', 'provider:physical_network': 'plane' },
      })
    ).id;
    await make('subnet', {
      ...{ network_id: ids.outer, ip_version: 4, cidr: '203.0.113.0/24', gateway_ip: '203.0.113.254' },
      ...{ enable_dhcp: false, allocation_pools: [{ start: '203.0.113.10', end: '203.0.113.99' }] },
    });
    ids.network = (await make('network', { name: 'inner' })).id;
    const subnet = await make('subnet', {
      ...{ network_id: ids.network, ip_version: 4, cidr: '10.7.0.0/16', gateway_ip: '10.7.0.1' },
      allocation_pools: [{ start: '10.7.1.0', end: '10.7.200.0' }],
    });
    ids.subnet = subnet.id;
    ids.router = (await make('router', { external_gateway_info: { network_id: ids.outer } })).id;
    await world.ask('PUT', `/routers/${ids.router}/add_router_interface`, { subnet_id: ids.subnet });
    // All out, and in for those of the group; and one for the guest whose rules come and go.
    ids.group = (await make('security_group', { name: 'open' })).id;
    await make('security_group_rule', {
      ...{ security_group_id: ids.group, direction: 'ingress', ethertype: 'IPv4' },
      remote_ip_prefix: '0.0.0.0/0',
    });
    ids.closed = (await make('security_group', { name: 'closed' })).id;
    for (const [index, [name, group]] of [
      ['a', ids.group],
      ['b', ids.closed],
      ['c', ids.group],
      ['d', ids.group],
    ].entries()) {
      const port = await this.#guest(name!, index + 11, group!);
      ids[name!] = port;
    }
    ids.floating = (
      await make('floatingip', { floating_network_id: ids.outer, port_id: ids.c, floating_ip_address: '203.0.113.150' })
    ).id;
    await this.#knock('a', '10.7.0.13', 'c', async () => {});
    await this.#knock(undefined, '203.0.113.150', 'c', async () => {});
  }

  /** More ports in the network, until there are as many. */
  async grow(ports: number): Promise<void> {
    while (this.#ports < ports) {
      const count = Math.min(50, ports - this.#ports);
      const one = { network_id: this.#ids.network, security_groups: [this.#ids.group] };
      await this.world.ask('POST', '/ports', { ports: Array.from({ length: count }, () => one) });
      this.#ports += count;
    }
    const began = performance.now();
    await this.world.settled(this.#ports);
    console.log(`${ports} ports settled after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  }

  async round(size: number): Promise<void> {
    const { world } = this;
    const ids = this.#ids;
    await this.#measure(size, 'security group rule', async () => {
      let rule = '';
      const time = await this.#knock('a', '10.7.0.12', 'b', async () => {
        const wish = { security_group_id: ids.closed, direction: 'ingress', ethertype: 'IPv4', protocol: 'udp' };
        rule = (await world.ask('POST', '/security-group-rules', { security_group_rule: wish })).security_group_rule.id;
      });
      await world.ask('DELETE', `/security-group-rules/${rule}`);
      return time;
    });
    for (const to of ['d', 'c'] as const) {
      await this.#measure(size, 'floating IP moved', () =>
        this.#knock(undefined, '203.0.113.150', to, () =>
          world.ask('PUT', `/floatingips/${ids.floating}`, { floatingip: { port_id: ids[to] } }),
        ),
      );
    }
    await this.#measure(size, 'port made and plugged', async () => {
      const address = { mac: 'fa:16:3e:07:00:99', address: '10.7.0.99', gateway: '10.7.0.1' };
      const guest = this.#guests.n ?? (await world.guest('n', address));
      this.#guests.n = guest;
      let id = '';
      const time = await this.#knock('a', '10.7.0.99', 'n', async () => {
        id = await this.#port('fa:16:3e:07:00:99', '10.7.0.99', ids.group!);
        await world.plug(guest, id);
      });
      await world.ask('DELETE', `/ports/${id}`);
      return time;
    });
  }

  async #measure(size: number, kind: Kind, work: () => Promise<Passed>): Promise<void> {
    // What is undone after each measurement is not part of the next one.
    await this.world.settled(this.#ports);
    const passed = await work();
    for (const [name, time] of [
      [kind, passed.effect] as const,
      ...hops.map((hop) => [`${hop}: ${kind}`, passed[hop]] as const),
    ]) {
      const key = `${name} ${size}`;
      this.#times.set(key, [...(this.#times.get(key) ?? []), time]);
    }
  }

  forget(size: number): void {
    for (const key of this.#times.keys()) if (key.endsWith(` ${size}`)) this.#times.delete(key);
  }

  /** p50 and p99. */
  quantiles(name: string, size: number): [number, number] {
    const sorted = (this.#times.get(`${name} ${size}`) ?? []).toSorted((a, b) => a - b);
    return [sorted[sorted.length >> 1]!, sorted[Math.floor(sorted.length * 0.99)]!];
  }

  /** Of TCP between two guests here, and between two on a bridge by hand, in turns. */
  async rates(rounds: number): Promise<{ byOvn: number; byHand: number }> {
    const { world } = this;
    const [one, other] = await world.byHand();
    const { a, c } = this.#guests as { a: Guest; c: Guest };
    await world.protect(a, c);
    const rates = { byOvn: [] as number[], byHand: [] as number[] };
    const turns = {
      byOvn: () => world.pours(c, '10.7.0.13', a),
      byHand: () => world.pours(one, '10.8.0.1', other),
    };
    for (let round = 0; round < rounds; round++) {
      const order = ['byOvn', 'byHand'] as const;
      for (const which of round % 2 === 0 ? order : order.toReversed()) rates[which].push(await turns[which]());
    }
    return { byOvn: median(rates.byOvn), byHand: median(rates.byHand) };
  }

  async #port(mac_address: string, ip_address: string, group: string): Promise<string> {
    const fixed_ips = [{ subnet_id: this.#ids.subnet, ip_address }];
    const port = { network_id: this.#ids.network, mac_address, fixed_ips, security_groups: [group] };
    return (await this.world.ask('POST', '/ports', { port })).port.id;
  }

  async #guest(name: string, last: number, group: string): Promise<string> {
    const [mac, address] = [`fa:16:3e:07:00:${last}`, `10.7.0.${last}`];
    const id = await this.#port(mac, address, group);
    this.#guests[name] = await this.world.guest(name, { mac, address, gateway: '10.7.0.1' });
    await this.world.plug(this.#guests[name], id);
    return id;
  }

  #knock(from: string | undefined, address: string, name: string, act: () => Promise<unknown>) {
    const netns = from === undefined ? this.world.machine.netns : this.#guests[from]!.netns;
    // Only what is translated goes on as it began.
    return this.world.untilAnswered({ from: netns, address, name, fresh: from === undefined }, act);
  }
}
