/**
 * OpenStack Zed as Debian 12 packages it (keystone, glance, placement, nova with ten fake computes, neutron with a no-op
 * driver, swift with one replica; MariaDB, RabbitMQ, memcached), all on a machine of two cores, measured with the same load driver; medians of
 * three rounds. Machines differ: where it matters, compare ratios from one run.
 *
 * `target` is what Bothy set out to reach on such a machine; null where none was set.
 */
export interface Reference {
  /** Metric of tools/bench/openstack-load.mjs. */
  metric: string;
  openstack: number | null;
  target: number | null;
  better: 'lower' | 'higher';
}

const lower = (metric: string, openstack: number | null, target: number | null): Reference => ({
  metric,
  openstack,
  target,
  better: 'lower',
});
const higher = (metric: string, openstack: number | null, target: number | null): Reference => ({
  metric,
  openstack,
  target,
  better: 'higher',
});

export const references: readonly Reference[] = [
  lower('keystone token issue c=1 | p50', 219, 30),
  higher('keystone token issue c=8 | ops/s', 8.8, null),
  lower('keystone token validate c=1 | p50', 9.0, 1),
  higher('keystone token validate c=8 | ops/s', 190, null),
  lower('neutron net+subnet+port c=1 | p50', 409, 20),
  higher('neutron net+subnet+port c=8 | ops/s', 3.8, null),
  higher('neutron bulk create ports (50 each) c=2', 6.0, null),
  lower('neutron list 1000 ports c=1 | p50', 1213, 50),
  lower('nova POST to ACTIVE, one | p50', 1283, 60),
  higher('nova 50 servers c=8 to ACTIVE', 1.1, 30),
  lower('nova GET /servers/detail, 50 servers c=1 | p50', 168, 8),
  lower('nova GET one server c=1 | p50', 52, 2),
  higher('nova GET one server c=8 | ops/s', 34.4, null),
  higher('nova delete 50 servers c=8 until gone', 3.9, null),
  lower('nova GET /servers/detail, 1000 servers c=1 | p50', 2177, null),
  lower('glance create+upload 64 MiB | p50', 282, 200),
  // The same in pieces of 64 KiB, as OpenStack's own clients send a file; not measured there.
  lower('glance create+upload 64 MiB in pieces | p50', null, 200),
  lower('glance download 64 MiB | p50', 82, null),
  higher('swift PUT 4 KiB c=8 | ops/s', 258, 2580),
  lower('swift PUT 4 KiB c=8 | cloud CPU', 6.1, 0.76),
  higher('swift GET 4 KiB c=8 | ops/s', 623, 7480),
  lower('swift GET 4 KiB c=8 | cloud CPU', 2.9, 0.36),
  higher('swift PUT 1 MiB c=8 | ops/s', 123, 492),
  lower('swift PUT 1 MiB c=8 | cloud CPU', 9.8, 1.22),
  higher('swift GET 1 MiB c=8 | ops/s', 176, 704),
  lower('swift GET 1 MiB c=8 | cloud CPU', 7.3, 0.91),
];
