/**
 * The network of a simulated machine: its kernel, and its Open vSwitch database on the real wire with a vswitchd that
 * answers. It stays when a Host object goes, as the machine's own would.
 */

import { names } from '../../host/network/names.ts';
import type { ServedNetwork } from '../../host/network/options.ts';
import { map } from '../../protocols/ovsdb/index.ts';
import { FakeDatabase, FakeOvsdbServer, FakeVswitchd, vswitch } from '../ovsdb/index.ts';
import { FakeKernel } from './kernel.ts';

export class FakeSwitch {
  readonly database = new FakeDatabase(vswitch);
  readonly kernel = new FakeKernel();
  readonly names = names('sim');
  /** Networks that HAProxy, which is not there, was last told to serve. */
  served: readonly ServedNetwork[] = [];
  readonly vswitchd: FakeVswitchd;
  readonly #server = new FakeOvsdbServer([this.database]);
  /** The OVSDB target; known once it listens. */
  target = '';

  constructor() {
    this.vswitchd = new FakeVswitchd(this.database, { hasDevice: (name) => this.kernel.has(name) });
    this.kernel.onChange(() => this.vswitchd.look());
  }

  async listen(path: string): Promise<void> {
    this.target = await this.#server.listen({ path });
  }

  /** Taps of guests. */
  get taps(): ReadonlySet<string> {
    return new Set(this.kernel.devices().filter((name) => this.names.tapPattern.test(name)));
  }

  /** Ids of guests' logical ports that are plugged. */
  get pluggedPorts(): string[] {
    return [...this.database.rows('Interface').values()]
      .filter((row) => this.names.tapPattern.test(String(row.name)))
      .map((row) => map(row, 'external_ids')['iface-id'] ?? String(row.name))
      .sort();
  }

  /** The power went: the database stays, the kernel and everything in it does not. */
  powerCut(): void {
    this.kernel.reset();
    this.served = [];
  }

  /** As when ovsdb-server is restarted: clients must come back. */
  dropConnections(): void {
    this.#server.dropConnections();
  }

  async close(): Promise<void> {
    this.vswitchd.close();
    await this.#server.close();
  }
}
