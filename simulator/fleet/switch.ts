/**
 * The network of a simulated machine: its Open vSwitch database with a vswitchd that answers, on the real wire, and the
 * kernel's taps as a list. It stays when a Host object goes, as the machine's own would.
 */
import { FakeDatabase, FakeOvsdbServer, FakeVswitchd, vswitch } from '../ovsdb/index.ts';

export class FakeSwitch {
  readonly database = new FakeDatabase(vswitch);
  readonly taps = new Set<string>();
  readonly #vswitchd = new FakeVswitchd(this.database);
  readonly #server = new FakeOvsdbServer([this.database]);
  /** The OVSDB target; known once it listens. */
  target = '';

  async listen(path: string): Promise<void> {
    this.target = await this.#server.listen({ path });
  }

  /** Ids of the logical ports that are plugged. */
  get pluggedPorts(): string[] {
    const ids = [...this.database.rows('Interface').values()].map(
      (row) => (row.external_ids as ReadonlyMap<string, string> | undefined)?.get('iface-id') ?? '',
    );
    return ids.filter((id) => id !== '').sort();
  }

  /** As when ovsdb-server is restarted: clients must come back. */
  dropConnections(): void {
    this.#server.dropConnections();
  }

  async close(): Promise<void> {
    this.#vswitchd.close();
    await this.#server.close();
  }
}
