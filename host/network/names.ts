/**
 * Names that the kernel and Open vSwitch know us by. All carry the cloud's tag, so that several clouds live on one
 * machine and everything of one can be found again without memory. Interface names have at most 15 characters.
 */

/** The last digits of an id are random, of whichever kind it is: 36 bits of them. Stamps carry the whole id. */
const tail = (id: string) => id.replaceAll('-', '').slice(-9);

export function names(tag: string) {
  if (!/^[0-9a-z]{1,4}$/.test(tag)) throw new Error(`tag "${tag}" is not 1 to 4 lower-case letters or digits`);
  return {
    tag,
    integrationBridge: `${tag}int`,
    externalBridge: `${tag}ex`,
    underlayBridge: `${tag}phy`,
    probeBridge: `${tag}prb`,
    /** The bridge by which tunnels are tried, and its port into them. */
    tunnelBridge: `${tag}tun`,
    tunnelPort: `${tag}gnv`,
    tap: (portId: string) => `${tag}t${tail(portId)}`,
    /** Namespace of a network's metadata service. */
    namespace: (networkId: string) => `${tag}m${tail(networkId)}`,
    /** The end of its veth that is plugged into the integration bridge. */
    veth: (networkId: string) => `${tag}v${tail(networkId)}`,
    /** Namespace of a router's NAT64 engine, and the end of its veth in the integration bridge; either names the other. */
    nat64Namespace: (routerId: string) => `${tag}n${tail(routerId)}`,
    nat64Veth: (routerId: string) => `${tag}w${tail(routerId)}`,
    nat64NamespaceOf: (veth: string) => `${tag}n${veth.slice(tag.length + 1)}`,
    nat64VethOf: (namespace: string) => `${tag}w${namespace.slice(tag.length + 1)}`,
    nat64NamespacePattern: new RegExp(`^${tag}n[0-9a-f]{9}$`),
    nat64VethPattern: new RegExp(`^${tag}w[0-9a-f]{9}$`),
    tapPattern: new RegExp(`^${tag}t[0-9a-f]{9}$`),
    namespacePattern: new RegExp(`^${tag}m[0-9a-f]{9}$`),
    vethPattern: new RegExp(`^${tag}v[0-9a-f]{9}$`),
    /** nft identifiers begin with a letter. */
    firewallTable: `bothy_${tag}`,
    guardTable: `bothy_guard_${tag}`,
  };
}
export type Names = ReturnType<typeof names>;

/** external_ids:bothy:owner of every row that is ours, and the alias of every kernel device. */
export const ownerKey = 'bothy:owner';
export const owner = {
  port: (id: string) => `port/${id}`,
  network: (id: string) => `network/${id}`,
  router: (id: string) => `router/${id}`,
  machine: 'machine',
};
