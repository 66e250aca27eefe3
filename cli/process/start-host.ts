/** Makes everything that host/ needs of a real machine, once, and hands it down. Nothing is made anywhere else. */
import { lookup } from 'node:dns/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { HostId } from '../../contract/ids.ts';
import { userIds } from '../../engine/process.ts';
import { Host, openCpuGroups, qemuMachine } from '../../host/index.ts';
import { MetadataService, VendorServices } from '../../host/metadata/index.ts';
import { HostNetwork, metadataPaths } from '../../host/network/index.ts';
import { certifyWith, inTurns } from './certify.ts';
import type { HostConfiguration } from './configuration.ts';
import { controlName } from './control-name.ts';

/** Debian's package makes this user; HAProxy's worker needs no more. */
const proxyUser = 'haproxy';

export interface RunningHost {
  /** Lets go; guests go on. */
  close(): Promise<void>;
}

export async function startHost(configuration: HostConfiguration, log: Logger): Promise<RunningHost> {
  const { runDirectory, vendorData, authority } = configuration;
  const vendorServices = vendorServicesOf(configuration, log);
  const guests = guestsOf(configuration);
  const directory = join(runDirectory, 'host');
  const machine = await qemuMachine({
    dataDirectory: configuration.dataDirectory,
    runDirectory: directory,
    guests,
    accelerator: configuration.accelerator,
  });
  const network = await networkOf(configuration, log);
  const metadata = new MetadataService({
    ...{ socket: metadataPaths(runDirectory).socket, proxyUser, vendorData, vendorServices },
    passwords: {
      read: (id) => host.guestPasswords.read(id),
      keep: (id, text) => host.guestPasswords.keep(id, text),
    },
  });
  const host = new Host(optionsOf(configuration, directory), {
    network,
    ...machine,
    cpuGroups: openCpuGroups(configuration.tag),
    ...{ log, vendorData, vendorServices },
    desired: (servers) => metadata.update(servers),
    ...(authority !== undefined && { certify: inTurns(certifyWith(authority)) }),
  });
  await metadata.start();
  await host.start();
  return {
    async close() {
      await host.stop();
      await metadata.stop();
      vendorServices.close();
    },
  };
}

/** What the host process is told of itself. */
function optionsOf(configuration: HostConfiguration, directory: string): ConstructorParameters<typeof Host>[0] {
  const { quarantinedGuests, storage, objects, bandwidths, migrationPorts } = configuration;
  const physicalNetworks = [configuration.external.physicalNetwork].filter((name) => name !== '');
  return {
    hostId: configuration.hostId as HostId,
    name: configuration.hostName,
    cloudId: configuration.cloudId,
    bothyVersion: configuration.bothyVersion,
    dataDirectory: configuration.dataDirectory,
    runDirectory: directory,
    controlUrls: [configuration.controlUrl],
    controlName,
    tls: configuration.tls,
    listen: configuration.listen,
    url: configuration.url,
    socket: { path: configuration.socket, owner: userIds(configuration.controlUser) },
    guests: guestsOf(configuration),
    accelerator: configuration.accelerator,
    ...{ quarantinedGuests, storage, objects, bandwidths, migrationPorts, physicalNetworks },
  };
}

const guestsOf = ({ guestUser, guestUids }: HostConfiguration) => ({ ...userIds(guestUser), uids: guestUids });

function vendorServicesOf({ vendorServices: { targets, ca }, tls }: HostConfiguration, log: Logger): VendorServices {
  return new VendorServices({ targets, ...(ca && { ca }), ...{ tls, log } });
}

/** The driver of this machine's network, not started yet. */
async function networkOf(configuration: HostConfiguration, log: Logger): Promise<HostNetwork> {
  const { runDirectory, external, tunnels, southbound, tls } = configuration;
  return new HostNetwork({
    tag: configuration.tag,
    hostId: configuration.hostId,
    hostname: configuration.hostName,
    runDirectory,
    logDirectory: join(configuration.logDirectory, 'ovs'),
    southbound,
    ...(southbound.startsWith('ssl:') && { southboundTls: { ...tls, server: controlName } }),
    guestUser: configuration.guestUser,
    proxyUser,
    encapsulation: { ip: tunnels?.address.split('/')[0] ?? (await addressOf(configuration.url)), type: 'geneve' },
    ...(tunnels && { underlay: tunnels }),
    datapath: configuration.datapath,
    uplink: configuration.uplink,
    dnsServers: configuration.dnsServers,
    ...(external.physicalNetwork && { external: bridgeOf(external) }),
    log,
  });
}

const bridgeOf = ({ interface: device, ...external }: HostConfiguration['external']) => ({
  physicalNetwork: external.physicalNetwork,
  addresses: [
    ...(external.cidr ? [`${external.gateway}/${prefixOf(external.cidr)}`] : []),
    ...(external.cidr6 ? [`${external.gateway6}/${prefixOf(external.cidr6)}`] : []),
  ],
  ...(device && { device }),
});

const prefixOf = (cidr: string): string => cidr.slice(cidr.indexOf('/') + 1);

/** Where other hosts send tunnels: the address behind the name that they reach us by. */
async function addressOf(url: string): Promise<string> {
  const { address } = await lookup(new URL(url).hostname.replace(/^\[|\]$/g, ''));
  return address;
}
