/**
 * When a change passes OVN's databases on its way to the packets: what lies before the northbound one is ours, what lies behind it ovn-northd's (to the
 * southbound one) and ovn-controller's with Open vSwitch (behind that). Owns a connection to each, which sees every change and makes none.
 */
import { ovnCentralSockets } from '../../engine/ovn-central.ts';
import { type Monitored, OvsdbClient } from '../../protocols/ovsdb/index.ts';
import { nowMs } from './data-plane-world.ts';

const northbound: Monitored = {
  ACL: ['match'],
  NAT: ['logical_ip'],
  Logical_Switch_Port: ['name', 'addresses'],
  Port_Group: ['ports'],
};
const southbound: Monitored = { Logical_Flow: ['priority'], Port_Binding: ['mac'] };

export class Hops implements AsyncDisposable {
  readonly #clients: readonly OvsdbClient[];
  /** By client, the first change since {@link begin}. */
  #first: (number | undefined)[] = [];

  static async open(runDirectory: string): Promise<Hops> {
    const sockets = ovnCentralSockets(runDirectory);
    const hops = new Hops([
      new OvsdbClient({ target: sockets.northbound, database: 'OVN_Northbound', monitor: northbound }),
      new OvsdbClient({ target: sockets.southbound, database: 'OVN_Southbound', monitor: southbound }),
    ]);
    for (const client of hops.#clients) {
      client.start();
      await client.ready({ timeoutMs: 10_000 });
    }
    return hops;
  }

  private constructor(clients: readonly OvsdbClient[]) {
    this.#clients = clients;
    for (const [at, { replica }] of clients.entries()) {
      replica.listen({
        changed: () => {
          this.#first[at] ??= nowMs();
        },
      });
    }
  }

  begin(): void {
    this.#first = [];
  }

  /** Of the first change since the beginning, in each database; NaN: there was none. */
  get passed(): { northbound: number; southbound: number } {
    const [north = Number.NaN, south = Number.NaN] = this.#first;
    return { northbound: north, southbound: south };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
  }
}
