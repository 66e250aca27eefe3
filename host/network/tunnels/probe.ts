/**
 * Tries this host's tunnels to the others, round after round, by frames that their Open vSwitch sends back (frames.ts). Owns a bridge with one tunnel port that is
 * nobody's network, its flows, and a timer. Needs nothing of the other host's process, and nothing of ours answers: a host whose process is away gives
 * back all the same. BFD, which OVN has between gateways only, sends short frames alone, and says nothing of the MTU.
 *
 * If the process dies the bridge goes on giving back; the next one finds it. OVS in user space counts what its cache has seen with up to half a
 * second's delay, so what came back is asked for after more than that.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { TunnelEnd, TunnelReport } from '../../../contract/host/index.ts';
import { readFlowCounters, sendFrames } from '../../../protocols/openflow/index.ts';
import { map, type OvsdbClient } from '../../../protocols/ovsdb/index.ts';
import { run } from '../command.ts';
import type { NetworkLogger } from '../log.ts';
import { type Names, owner, ownerKey } from '../names.ts';
import { addChanges, type Change, readState } from '../state.ts';
import {
  cookieOf,
  mtuFor,
  peerOf,
  probeFlows,
  probeFrame,
  probeNetwork,
  sizes,
  type TunnelPeer,
  tunnelPort,
} from './frames.ts';
import { TunnelRounds } from './rounds.ts';

export interface TunnelProbeOptions {
  client: OvsdbClient;
  names: Names;
  /** Where this host's tunnels end. */
  address: string;
  datapath: 'system' | 'netdev';
  /** Of the bridge's `.mgmt`. */
  ovsDirectory: string;
  log: NetworkLogger;
  /** Told when something is wrong, or is not any more, and at least every `tellMs`; as long as something is wrong every `tellWrongMs`. */
  report(found: TunnelReport): void;
  /** For tests. */
  timing?: Partial<TunnelTiming> | undefined;
}

export interface TunnelTiming {
  roundMs: number;
  /** Until what came back has been counted. */
  waitMs: number;
  tellMs: number;
  tellWrongMs: number;
}

const timingOf = (given: Partial<TunnelTiming> = {}): TunnelTiming => ({
  roundMs: 10_000,
  waitMs: 1500,
  tellMs: 300_000,
  tellWrongMs: 30_000,
  ...given,
});
const timeoutMs = 5000;

export class TunnelProbe {
  readonly #options: TunnelProbeOptions;
  readonly #timing: TunnelTiming;
  readonly #rounds = new TunnelRounds();
  readonly #bridge: string;
  readonly #ended = new AbortController();
  #flows = '';
  #told: { report: TunnelReport; atMs: number } | undefined;
  #failed = false;
  #running: Promise<void> | undefined;

  constructor(options: TunnelProbeOptions) {
    this.#options = options;
    this.#timing = timingOf(options.timing);
    this.#bridge = options.names.tunnelBridge;
  }

  /** Idempotent. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** The bridge stays: others try theirs. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  get end(): TunnelEnd {
    const { address } = this.#options;
    return { address, mtu: mtuFor(address) };
  }

  /** As it is known by now. */
  get found(): TunnelReport {
    return this.#rounds.report(performance.now());
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await this.#round();
        this.#failed = false;
      } catch (err) {
        if (!this.#failed && !signal.aborted)
          this.#options.log.warn({ err }, 'tunnels could not be tried, will try again');
        this.#failed = true;
        this.#flows = '';
      }
      const soon = this.#rounds.doubts ? this.#timing.roundMs / 10 : this.#timing.roundMs;
      await sleep(soon, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async #round(): Promise<void> {
    const { client, address } = this.#options;
    if (!client.replica.complete) return;
    await this.#ensureBridge();
    const family = address.includes(':');
    const all = this.#peers().filter((peer) => peer.address.includes(':') === family);
    this.#rounds.take(all);
    const flows = probeFlows(all, address);
    if (flows !== this.#flows) {
      await run('ovs-ofctl', ['-O', 'OpenFlow13', 'replace-flows', `unix:${this.#socket}`, '-'], { input: flows });
      this.#flows = flows;
    }
    const peers = this.#rounds.next();
    if (peers.length > 0) await this.#try(peers);
    this.#tell();
  }

  async #try(peers: readonly TunnelPeer[]): Promise<void> {
    const cookies = peers.flatMap((peer) => sizes.map((size) => cookieOf(peer, size)));
    const count = async () => {
      const found = await readFlowCounters(this.#socket, cookies, { timeoutMs });
      if ([...found.values()].some((flows) => flows.length === 0)) throw new Error('the bridge has lost its flows');
      return new Map([...found].map(([cookie, flows]) => [cookie, flows[0]!.packets]));
    };
    const before = await count();
    const frames = peers.flatMap(({ address: to }) => sizes.map((size) => ({ to, frame: probeFrame(size) })));
    await sendFrames(this.#socket, frames, { port: tunnelPort, timeoutMs });
    await sleep(this.#timing.waitMs, undefined, { signal: this.#ended.signal, ref: false });
    const after = await count();
    for (const peer of peers) {
      const came = sizes.filter((size) => after.get(cookieOf(peer, size)) !== before.get(cookieOf(peer, size)));
      this.#rounds.tried(peer, new Set(came), performance.now());
    }
  }

  #tell(): void {
    const now = performance.now();
    const report = this.#rounds.report(now);
    const { tried, peers, broken, faults } = report;
    const known = this.#told?.report;
    const news = !known || !isDeepStrictEqual({ tried, peers, broken, faults }, pick(known));
    const { tellMs, tellWrongMs } = this.#timing;
    if (!news && now - this.#told!.atMs < (faults > 0 ? Math.min(tellWrongMs, tellMs) : tellMs)) return;
    if (known && broken.length + known.broken.length > 0 && !isDeepStrictEqual(broken, known.broken))
      this.#options.log.warn({ broken }, 'tunnels to other hosts are not what they were');
    this.#told = { report, atMs: now };
    this.#options.report(report);
  }

  /** The other hosts, by the tunnels that ovn-controller has made. */
  #peers(): TunnelPeer[] {
    const found = [...this.#options.client.replica.rows('Port').values()].flatMap(
      (row) => peerOf(map(row, 'external_ids')['ovn-chassis-id']) ?? [],
    );
    return [...new Map(found.map((peer) => [peer.hostId, peer])).values()];
  }

  get #socket(): string {
    return `${this.#options.ovsDirectory}/${this.#bridge}.mgmt`;
  }

  async #ensureBridge(): Promise<void> {
    const { client, names, datapath: datapathType } = this.#options;
    const state = readState(client);
    const [name, port] = [this.#bridge, names.tunnelPort];
    const changes: Change[] = [];
    const found = state.bridges.get(name);
    const wanted = { datapathType, failMode: 'secure', owner: owner.machine } as const;
    if (!found) changes.push({ do: 'add-bridge', name, ...wanted });
    else if (found.datapathType !== datapathType) changes.push({ do: 'set-bridge', uuid: found.uuid, ...wanted });
    if (!state.interfaces.has(port)) {
      const options = { remote_ip: 'flow', key: String(probeNetwork), csum: 'true' };
      const tunnel = { type: 'geneve', options, ofport: tunnelPort };
      changes.push({ do: 'add-port', bridge: name, device: port, externalIds: { [ownerKey]: owner.machine }, tunnel });
    }
    if (changes.length > 0) {
      const tx = client.transaction();
      addChanges(tx, state, changes);
      await client.transact(tx);
    }
    const up = () => readState(client).interfaces.get(port)?.ofport === tunnelPort;
    await client.replica.until('the port of tunnels that are tried', up, { timeoutMs, signal: this.#ended.signal });
  }
}

const pick = ({ tried, peers, broken, faults }: TunnelReport) => ({ tried, peers, broken, faults });
