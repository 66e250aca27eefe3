/** For tests: projects with a network behind a router each, that reach each other outside. Not for production use. */
import { sql } from 'kysely';
import { TestCloud } from '../../../test/simulated/ovn-cloud.ts';
import type { Caller } from '../../kit/caller.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { openNetwork } from '../open.ts';
import { testAdmin, testCaller, testNetwork } from '../testing.ts';

export interface Site {
  caller: Caller;
  group: string;
  router: string;
  network: string;
  subnet: string;
  /** A guest's, which is up, with its address. */
  guest(over?: object): Promise<{ id: string; address: string }>;
  floating(port: string): Promise<string>;
  letIn(protocol: string, first: number, last: number): Promise<string>;
}

/** Somebody's on the network outside: none of the cloud's own addresses, which it takes at random, is ever this. */
export const somebodyOutside = '203.0.113.200';

export class TestSites {
  readonly db: TestDatabase;
  readonly network: ReturnType<typeof openNetwork>;
  readonly external: string;

  private constructor(db: TestDatabase, network: ReturnType<typeof openNetwork>, external: string) {
    this.db = db;
    this.network = network;
    this.external = external;
  }

  static async open(): Promise<TestSites> {
    const db = await testDatabase();
    const network = openNetwork({ database: db.database });
    await new TestCloud(db.database).host(['physnet1']);
    const segment = { provider_network_type: 'flat', provider_physical_network: 'physnet1' } as const;
    const wish = { external: true, ...segment };
    const admin = testAdmin();
    const { id } = await testNetwork(db.database, admin, [], wish);
    const allocation_pools = [{ start: '203.0.113.2', end: '203.0.113.199' }];
    await network.subnets.create(admin, [{ network_id: id, cidr: '203.0.113.0/24', ip_version: 4, allocation_pools }]);
    return new TestSites(db, network, id);
  }

  /** A project with a network behind a router, and a group of its own that lets everything out and nothing in. */
  async site(cidr: string): Promise<Site> {
    const { db, network, external } = this;
    const caller = testCaller();
    const made = await testNetwork(db.database, caller, [cidr]);
    const router = await network.routers.create(caller, { name: 'r', gateway: { network_id: external } });
    const subnet = made.subnetIds[0]!;
    await network.routers.addInterface(caller, router.id, { subnet_id: subnet });
    const [group] = await network.securityGroups.create(caller, [{ name: 'g' }]);
    return {
      ...{ caller, group: group!.id, router: router.id, network: made.id, subnet },
      async guest(over = {}) {
        const wish = { network_id: made.id, security_groups: [group!.id], device_owner: 'compute:nova', ...over };
        const [port] = await network.ports.create(caller, [wish]);
        await sql`update port set observed_up = true where id = ${port!.id}`.execute(db.database.query);
        return { id: port!.id, address: port!.fixed_ips[0]!.ip_address };
      },
      async floating(port) {
        const wish = { floating_network_id: external, port_id: port };
        return (await network.floatingIps.create(caller, wish)).floating_ip;
      },
      async letIn(protocol, first, last) {
        const [rule] = await network.securityGroups.createRules(caller, [
          {
            ...{ security_group_id: group!.id, direction: 'ingress', ethertype: 'IPv4', protocol },
            ...{ port_range_min: first, port_range_max: last },
          },
        ]);
        return rule!.id;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db[Symbol.asyncDispose]();
  }
}
