/** What the network driver of a host must be told. */
import type { NetworkNames } from '../../contract/host/index.ts';
import type { CommandMachine } from './command.ts';
import type { NetworkLogger } from './log.ts';
import type { TunnelTiming } from './tunnels/probe.ts';

export interface ExternalNetwork {
  /** OVN's name of the physical network that the external bridge carries. */
  physicalNetwork: string;
  /** The machine's own addresses on it, in CIDR form, IPv4 and IPv6: routers' next hop, the way to floating IPs. */
  addresses: string[];
  /** A network card that joins the bridge; absent: the external network ends at this machine. */
  device?: string;
}

/** A network whose guests get metadata and names here. */
export interface ServedNetwork {
  id: string;
  namespace: string;
  /** Absent: control is older. */
  names?: NetworkNames | undefined;
}

export interface HostNetworkOptions {
  /** The cloud's tag on this machine: up to four lower-case letters or digits. */
  tag: string;
  hostId: string;
  hostname: string;
  /** Short run directory of the cloud on this machine, e.g. /run/bothy/<tag>. */
  runDirectory: string;
  logDirectory: string;
  /** Southbound database, e.g. unix:/run/bothy/<tag>/ovn/sb.sock or tcp:10.0.0.1:6642; not ssl, for which there is no certificate here. */
  southbound: string;
  /** PEM files for one that is reached by TLS; read anew for each connection. */
  southboundTls?:
    | { key: string; certificate: string; ca: string /** Subject of its certificate. */; server: string }
    | undefined;
  /** Name of the user of guests that have none of their own (started by an older Bothy; tests): owner of their taps. */
  guestUser: string;
  /** User that HAProxy's worker runs as. */
  proxyUser: string;
  /** Tunnel endpoint that other hosts reach. */
  encapsulation: { ip: string; type: 'geneve' };
  /**
   * The card that carries the tunnels, with its address there. With the userspace datapath it becomes a port of a bridge, which
   * then has the address: OVS sends tunnels by bridges of its own only.
   */
  underlay?: { device: string; address: string };
  datapath: 'auto' | 'system' | 'netdev';
  /** For tests: how often tunnels are tried. */
  tunnelTiming?: Partial<TunnelTiming>;
  external?: ExternalNetwork;
  /** 'nat': guests with a way to the external network reach what is behind the machine's default route (IPv4). */
  uplink: 'none' | 'nat';
  /** With 'nat': networks that guests still must not reach; by default those that the machine is connected to. */
  protectedNetworks?: string[];
  /** Everything of the driver happens in this network namespace; tests run several hosts on one machine. */
  netns?: string;
  log?: NetworkLogger;
  /** Name servers that guests' questions for the outside go to, ADDRESS or ADDRESS@PORT; empty: those that the machine asks. */
  dnsServers?: readonly string[];
  /** What stands in for this machine's kernel, and for its HAProxy and its resolvers: the simulator's. */
  machine?: CommandMachine;
  serveMetadata?: (networks: ServedNetwork[]) => Promise<void>;
}
