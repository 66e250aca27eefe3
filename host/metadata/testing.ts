/** A server and its network, for tests of the metadata service and of what else needs one. */
import type { DesiredNetwork, DesiredServer } from '../../contract/host/index.ts';
import type { ImageId, NetworkId, PortId, ProjectId, ServerId, SubnetId } from '../../contract/ids.ts';

const id = <T extends string>(tail: string) => `01900000-0000-7000-8000-${tail.padStart(12, '0')}` as T;

export function exampleServer(changes: Partial<DesiredServer> = {}): DesiredServer {
  return {
    id: id<ServerId>('51'),
    projectId: id<ProjectId>('b1'),
    userId: 'u',
    epoch: 1,
    generation: 1,
    presence: 'present',
    power: 'on',
    reboot: { count: 0, type: 'soft' },
    name: '小屋 🏔 "x"; drop',
    hostname: 'host-1',
    vcpus: 1,
    memoryMiB: 256,
    diskGiB: 1,
    image: { id: id<ImageId>('11'), format: 'qcow2', sizeBytes: 1, sha256: '', sources: [] },
    ports: [
      {
        id: id<PortId>('a1'),
        networkId: id<NetworkId>('41'),
        mac: 'fa:16:3e:00:00:01',
        mtu: 1442,
        fixedIps: [
          {
            ip: '10.1.0.11',
            subnetId: id<SubnetId>('61'),
            ipVersion: 4,
            prefixLength: 24,
            gateway: '10.1.0.1',
            dnsNameservers: ['9.9.9.9'],
            ipv6AddressMode: null,
          },
          {
            ip: 'fd00:1::f816:3eff:fe00:1',
            subnetId: id<SubnetId>('62'),
            ipVersion: 6,
            prefixLength: 64,
            gateway: 'fd00:1::1',
            dnsNameservers: ['fd00:1::53'],
            ipv6AddressMode: 'slaac',
          },
        ],
      },
    ],
    configDrive: true,
    availabilityZone: 'nova',
    keys: [{ name: 'my key', publicKey: 'ssh-ed25519 AAAA me', type: 'ssh' }],
    userData: Buffer.from([0x23, 0x21, 0x00, 0xff]).toString('base64'),
    metadata: { role: 'web' },
    createdAt: '2025-01-01T00:00:00Z',
    ...changes,
  };
}

export function exampleNetwork(changes: Partial<DesiredNetwork> = {}): DesiredNetwork {
  return {
    id: id<NetworkId>('41'),
    mtu: 1442,
    metadataPort: { id: id<PortId>('a0'), mac: 'fa:16:3e:00:00:02', ips: ['10.1.0.2/24'] },
    ...changes,
  };
}
