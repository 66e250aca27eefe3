/** What a host says about itself, put together from its parts. Pure. */
import type { HostFacts } from '../contract/host/index.ts';
import type { HostConfiguration } from './configuration.ts';
import type { AcceleratorVerdict } from './guest/kvm-probe.ts';
import type { HostNetworkPort } from './host-network.ts';
import type { capacity } from './machine-facts.ts';
import { defaultPorts, type MigrationPlace } from './ports-for-hosts.ts';

export interface HostParts {
  configuration: HostConfiguration;
  dependencies: {
    network: Pick<HostNetworkPort, 'datapath' | 'tunnelEnd'>;
    qemuVersion: string;
    machineTypes: readonly string[];
    /** Absent: guests' processors can't be limited. */
    cpuGroups?: object | undefined;
  };
  verdict: AcceleratorVerdict;
  capacity: Awaited<ReturnType<typeof capacity>>;
  networkStarted: boolean;
  /** Of the HTTPS service. */
  servicePort: number;
  storage: { pools: HostFacts['pools'] & {}; exports: Pick<HostFacts, 'iscsiPortal'> };
  objectDisks: HostFacts['objectDisks'] & {};
}

/** Where other hosts reach this one anyway. */
export const migrationPlaceOf = ({ url, migrationPorts = defaultPorts }: HostConfiguration): MigrationPlace => ({
  address: new URL(url.replace('{port}', '1')).hostname.replace(/^\[|\]$/g, ''),
  ports: migrationPorts,
});

export function hostFactsOf(parts: HostParts): HostFacts {
  const { configuration, dependencies, verdict, storage } = parts;
  const { name, bothyVersion, url } = configuration;
  return {
    name,
    accelerator: verdict.accelerator,
    acceleratorReason: verdict.reason,
    ...parts.capacity,
    datapath: parts.networkStarted ? dependencies.network.datapath.type : 'netdev',
    qemuVersion: dependencies.qemuVersion,
    bothyVersion,
    machine: {
      types: [...dependencies.machineTypes],
      cpuModel: verdict.accelerator === 'kvm' ? 'host' : 'max',
      layout: 3,
    },
    cpuLimits: dependencies.cpuGroups !== undefined,
    migrations: ['cold', 'live'],
    beginsLent: true,
    layerCopies: true,
    secondCopies: true,
    pools: storage.pools,
    objectDisks: parts.objectDisks,
    bandwidths: [...(configuration.bandwidths ?? [])],
    ...(configuration.physicalNetworks && { physicalNetworks: [...configuration.physicalNetworks] }),
    ...storage.exports,
    ...(dependencies.network.tunnelEnd && { tunnels: dependencies.network.tunnelEnd }),
    url: url.replace('{port}', String(parts.servicePort)),
  };
}
