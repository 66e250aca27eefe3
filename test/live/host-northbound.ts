/** What the test of a machine's network has in the northbound database, and the servers whose ports are in it. */
import type { DesiredNetwork, DesiredPort, DesiredServer } from '../../contract/host/index.ts';
import { type NetworkId, newId, type PortId, type SubnetId } from '../../contract/ids.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import { type Columns, configReached, raiseConfig, type Transaction } from '../../protocols/ovsdb/index.ts';
import type { TestMachine } from './live-machine.ts';

export const floatingIp = '172.24.4.11';

export function serverOn(networkId: NetworkId, tail: string): DesiredServer {
  const example = exampleServer();
  const port: DesiredPort = {
    id: newId<PortId>(),
    networkId,
    mac: `fa:16:3e:00:01:${tail}`,
    mtu: 1442,
    fixedIps: [
      { ...example.ports[0]!.fixedIps[0]!, ip: `10.1.0.${tail}`, subnetId: newId<SubnetId>() },
      { ...example.ports[0]!.fixedIps[1]!, ip: `fd00:1::${tail}`, subnetId: newId<SubnetId>() },
    ],
  };
  return { ...example, id: newId(), ports: [port] };
}

/** The switches of both networks and of the outside. */
function insertSwitches(
  tx: Transaction,
  network: DesiredNetwork,
  servers: DesiredServer[],
  foreign: DesiredNetwork,
): void {
  const port = (columns: Columns) => tx.insert('Logical_Switch_Port', columns);
  const toRouter = (name: string, other: string) =>
    port({ name, type: 'router', addresses: ['router'], options: { 'router-port': other } });
  const metadata = ({ metadataPort: { id, mac } }: DesiredNetwork, ips: string) =>
    port({ name: id, type: 'localport', addresses: [`${mac} ${ips}`] });
  const plugged = servers.map(({ ports: [one] }) => {
    const address = [one!.mac, ...one!.fixedIps.map(({ ip }) => ip)].join(' ');
    return port({ name: one!.id, addresses: [address], port_security: [address] });
  });
  tx.insert('Logical_Switch', {
    name: 'net',
    ports: [...plugged, metadata(network, '10.1.0.2'), toRouter('net-r', 'r-net')],
  });
  tx.insert('Logical_Switch', {
    name: 'foreign',
    ports: [metadata(foreign, '10.2.0.2 10.1.0.3'), toRouter('foreign-r', 'r-foreign')],
  });
  const options = { network_name: 'physnet1' };
  tx.insert('Logical_Switch', {
    name: 'ext',
    ports: [port({ name: 'ext-phys', type: 'localnet', addresses: ['unknown'], options }), toRouter('ext-r', 'r-ext')],
  });
}

/**
 * One switch with the servers' ports and its metadata port, a router to the external network, and a floating IP. The router leads to a foreign
 * network as well, and what is for the metadata address to its metadata port.
 */
export async function writeNorthbound(
  machine: TestMachine,
  network: DesiredNetwork,
  servers: DesiredServer[],
  foreign: DesiredNetwork,
): Promise<void> {
  const tx = machine.northbound.transaction();
  insertSwitches(tx, network, servers, foreign);
  const gateway = tx.insert('Gateway_Chassis', { name: 'gw', chassis_name: machine.options.hostId, priority: 1 });
  const insideIp = servers[0]!.ports[0]!.fixedIps[0]!.ip;
  tx.insert('Logical_Router', {
    name: 'r',
    ports: [
      tx.insert('Logical_Router_Port', { name: 'r-net', mac: '02:00:00:01:00:01', networks: ['10.1.0.1/24'] }),
      tx.insert('Logical_Router_Port', { name: 'r-foreign', mac: '02:00:00:02:00:01', networks: ['10.2.0.1/24'] }),
      tx.insert('Logical_Router_Port', {
        name: 'r-ext',
        mac: '02:00:00:ff:00:01',
        networks: ['172.24.4.10/24'],
        gateway_chassis: [gateway],
      }),
    ],
    static_routes: [
      tx.insert('Logical_Router_Static_Route', { ip_prefix: '0.0.0.0/0', nexthop: '172.24.4.1', output_port: 'r-ext' }),
      tx.insert('Logical_Router_Static_Route', {
        ip_prefix: '169.254.169.254/32',
        nexthop: '10.2.0.2',
        output_port: 'r-foreign',
      }),
    ],
    nat: [
      tx.insert('NAT', { type: 'snat', external_ip: '172.24.4.10', logical_ip: '10.1.0.0/24' }),
      tx.insert('NAT', { type: 'dnat_and_snat', external_ip: floatingIp, logical_ip: insideIp }),
    ],
  });
  const number = raiseConfig(tx);
  const results = await machine.northbound.transact(tx);
  await configReached(machine.northbound, number(results), { timeoutMs: 10_000 });
}
