/**
 * NAT64 of a router, as its projection and the host that carries the engine agree on it. All of it lies behind one router and is never seen
 * outside, so all routers have the same.
 */
export const nat64 = {
  /**
   * Below it are the IPv4 addresses. A unique local prefix: RFC 6052's own may not lead to private addresses, which a private cloud is full of, and
   * RFC 8215's, made for that, tayga 0.9.2 refuses as reserved.
   */
  prefix: 'fd64:ff9b:1::/96',
  /** Guests are known as these on the IPv4 side, until the router's gateway translates that (RFC 6598: between a customer and a translator). */
  pool: '100.127.0.0/20',
  /** The first of the pool is the engine's own: it answers for what does not get through. */
  poolFirst: '100.127.0.1',
  /** Of the link between router and engine (RFC 7335: for just such). */
  link: '192.0.0.0/29',
  router: { mac: '02:00:c0:00:00:01', ip4: '192.0.0.1', ip6: 'fe80::c000:1' },
  engine: { mac: '02:00:c0:00:00:02', ip4: '192.0.0.2', ip6: 'fe80::c000:2' },
} as const;

/** Name of the engine's logical switch port, and what a host finds in the southbound database. */
export const nat64Port = (routerId: string): string => `nat64-${routerId}`;
export const nat64Router = (port: string): string | undefined => /^nat64-([0-9a-f-]{36})$/.exec(port)?.[1];
