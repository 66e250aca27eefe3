/**
 * What has passed the gateways of routers and floating IPs, and what labels name of it, on this host, by the counters of OVN's flows. Owns a connection to the southbound database and
 * the ledger in the run directory. Never writes to either database or to the switch.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FlowCounter, readFlowCounters } from '../../protocols/openflow/index.ts';
import { OvsdbClient } from '../../protocols/ovsdb/index.ts';
import type { RouterCounter } from '../host-network.ts';
import { FlowLedger, type SeenFlow } from './flow-ledger.ts';
import type { NetworkLogger } from './log.ts';
import type { HostNetworkOptions } from './options.ts';
import { type RouterFlows, routerFlows, southboundConditions, southboundTables } from './router-flows.ts';

const timeoutMs = 5000;

export class RouterCounters {
  readonly #southbound: OvsdbClient;
  readonly #management: string;
  readonly #file: string;
  #ledger: FlowLedger | undefined;

  /** @param options ovsDirectory: where ovs-vswitchd has its sockets; bridge: the integration bridge */
  constructor(
    options: Pick<HostNetworkOptions, 'southbound' | 'southboundTls' | 'runDirectory'> & {
      ovsDirectory: string;
      bridge: string;
      log: NetworkLogger;
    },
  ) {
    const { southboundTls: tls } = options;
    this.#southbound = new OvsdbClient({
      target: options.southbound,
      database: 'OVN_Southbound',
      ...{ monitor: southboundTables, conditions: southboundConditions },
      ...(tls && { tls: () => ({ ...textsOf(tls), commonName: tls.server }) }),
      onState: (state) => {
        if (!state.connected)
          options.log.warn(
            { err: state.error, retryMs: state.retryMs },
            'routers are not metered: no southbound database',
          );
      },
    });
    this.#management = join(options.ovsDirectory, `${options.bridge}.mgmt`);
    this.#file = join(options.runDirectory, 'flow-counters.json');
  }

  start(): void {
    this.#southbound.start();
  }

  stop(): Promise<void> {
    return this.#southbound.stop();
  }

  /** Nothing while the southbound database is away. One at a time. @throws Error where the switch does not answer */
  async read(): Promise<RouterCounter[]> {
    if (!this.#southbound.replica.complete) return [];
    this.#ledger ??= await FlowLedger.open(this.#file);
    const flows = routerFlows(this.#southbound);
    const cookies = [...new Set(flows.flatMap(({ rx, tx }) => [...rx, ...tx]))];
    const counters = await readFlowCounters(this.#management, cookies, { timeoutMs });
    const nowMs = Number(process.hrtime.bigint() / 1_000_000n);
    const seen = (list: readonly number[]) =>
      list.flatMap((cookie) => seenFlow(cookie, counters.get(cookie) ?? [], nowMs) ?? []);
    const read = flows.map(({ key, rx, tx, ...of }: RouterFlows): RouterCounter => {
      const count = (way: string, list: readonly number[]) => this.#ledger!.count(`${key}/${way}`, seen(list), nowMs);
      // Both have been asked for at the same times, so they began at the same.
      const [{ sinceMs, ...received }, { sinceMs: _, ...sent }] = [count('rx', rx), count('tx', tx)];
      const counter = [this.#ledger!.name, key, ...(sinceMs === undefined ? [] : [sinceMs])].join('/');
      return { ...of, counter, statistics: { rx: received, tx: sent } };
    });
    await this.#ledger.save(nowMs);
    return read.filter(({ statistics: { rx, tx } }) => rx.packets + tx.packets > 0);
  }
}

/** Undefined where the switch has none: what it counted last stands. */
function seenFlow(cookie: number, found: readonly FlowCounter[], nowMs: number): SeenFlow | undefined {
  if (found.length === 0) return undefined;
  const sum = (of: 'packets' | 'bytes') => Number(found.reduce((all, flow) => all + flow[of], 0n));
  const bornMs = nowMs - Math.max(...found.map(({ ageMs }) => ageMs));
  return { cookie, bornMs, packets: sum('packets'), bytes: sum('bytes') };
}

const textsOf = ({ key, certificate, ca }: HostNetworkOptions['southboundTls'] & {}) => ({
  ...{ key: readFileSync(key), cert: readFileSync(certificate), ca: readFileSync(ca) },
});
