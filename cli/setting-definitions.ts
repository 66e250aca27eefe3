/** What can be set of a cloud, each setting with its default, what it must be, and what it is for. */
import { portalOf } from '../contract/host/index.ts';
import { networkBandwidths, notBandwidths } from './cloud/network-bandwidth.ts';
import { notObjectDisks, objectDisks } from './cloud/object-disks.ts';
import { notPools, storagePools } from './cloud/storage-pools.ts';
import { isFile, notTargets, vendorTargets } from './cloud/vendor-data.ts';
import {
  address,
  card,
  cidr,
  days,
  isPage,
  isRange,
  isServer,
  number,
  oneOf,
  physicalNetwork,
  port,
  portRange,
  regularExpression,
  seconds,
  tunnelCard,
  uidRange,
} from './setting-checks.ts';

export interface Definition {
  fallback: string;
  /** Environment variable; BOTHY_<KEY> where absent. */
  variable?: string;
  check?: (value: string) => string | undefined;
  /** For people, in the file that the first start writes. */
  help: string;
}

/** Of what stands between commas. */
export const list = (value: string): string[] => value.split(',').flatMap((part) => part.trim() || []);

export const definitions = {
  listen: {
    fallback: '::',
    check: address,
    help: 'Address that the APIs listen on; :: is every address, IPv4 and IPv6.',
  },
  port: { fallback: '8443', check: port, help: 'Port of the APIs (TLS).' },
  public_url: {
    fallback: '',
    check: (v: string) => (v === '' || /^https:\/\/[^/]+$/.test(v) ? undefined : 'https://NAME:PORT, without a path'),
    help: "How clients reach the APIs, e.g. https://cloud.example.org:8443; empty: this machine's main address.",
  },
  names: { fallback: '', help: "More names and addresses for the API's certificate, separated by commas." },
  region: { fallback: 'RegionOne', help: 'Name of the region in the catalogue.' },
  database_url: {
    fallback: '',
    variable: 'DATABASE_URL',
    check: (v: string) =>
      v === '' || /^postgres(ql)?:\/\//.test(v) ? undefined : 'postgres://USER:PASSWORD@HOST/DATABASE',
    help: 'A PostgreSQL >= 15 to use instead of the private one; of several members (…@ONE,TWO:5433/…) the one that takes writes.',
  },
  host_port: {
    fallback: '8444',
    check: port,
    help: "Port of this machine's host service, for other hosts (mutual TLS).",
  },
  southbound_port: { fallback: '6642', check: port, help: 'Port of the network database (TLS), for hosts that join.' },
  tunnels: {
    fallback: '',
    check: (v: string) => (v === '' || tunnelCard(v) ? undefined : 'CARD:ADDRESS/LENGTH, such as eth1:10.9.0.1/24'),
    help: "Network card for tunnels to other hosts and its address, such as eth1:10.9.0.1/24; nothing else uses it. Empty: tunnels end at this machine's main address, which needs the kernel's Open vSwitch.",
  },
  external_cidr: {
    fallback: '172.24.4.0/24',
    check: cidr(4, 29, '172.24.4.0/24'),
    help: 'Range of the external network: floating IPs and routers. Its first address is this machine.',
  },
  external_cidr6: {
    fallback: 'fd0b:0724::/64',
    check: cidr(6, 120, 'fd0b:724::/64'),
    help: 'The same for IPv6 (not translated); empty: none.',
  },
  physical_network: {
    fallback: 'physnet1',
    check: physicalNetwork,
    help: "What the external network is called as a physical network, which provider networks name (Neutron's bridge_mappings); hosts that say the same reach the same. Empty: this machine carries none.",
  },
  external_interface: {
    fallback: '',
    check: card,
    help: 'Network card that carries the external network; empty: the external network ends at this machine.',
  },
  uplink: {
    fallback: 'none',
    check: oneOf('none', 'nat'),
    help: 'nat: guests reach the world behind this machine (turns on IPv4 forwarding); none: they do not.',
  },
  dns_servers: {
    fallback: '',
    check: (v: string) => (list(v).every(isServer) ? undefined : 'addresses, or ADDRESS@PORT, separated by commas'),
    help: "Name servers that guests' questions for names of the outside go to, ADDRESS or ADDRESS@PORT with commas between (Neutron's dns_servers); empty: those that this machine asks (/etc/resolv.conf).",
  },
  network_bandwidth: {
    fallback: '',
    check: (v: string) => (networkBandwidths(v) === null ? notBandwidths : undefined),
    help: "What this machine's cards give to be promised to guests' ports (minimum bandwidth), NETWORK:EGRESS:INGRESS with commas between, kilobits a second, NETWORK a physical network or tunnels (Neutron's resource_provider_bandwidths), such as physnet1:10000000:10000000,tunnels:5000000:5000000; empty: nothing is promised.",
  },
  import_from: {
    fallback: '',
    check: (v: string) => (list(v).every(isRange) ? undefined : 'addresses and ranges, separated by commas'),
    help: "Private addresses that tenants may import images from by URL, e.g. a mirror's; public ones they always may.",
  },
  import_ports: {
    fallback: '',
    check: (v: string) =>
      list(v)
        .map(port)
        .find((why) => why !== undefined),
    help: 'More ports than 80 and 443 that the URLs of such imports may name, separated by commas.',
  },
  image_copies: {
    fallback: '2',
    check: number(10),
    help: 'On how many hosts an image shall lie, where there are as many: the loss of one loses no image.',
  },
  property_protections: {
    fallback: '',
    check: isFile,
    help: "File that says which roles may make and read which properties of images, in Glance's form; empty: everybody may.",
  },
  trusted_dashboards: {
    fallback: '',
    check: (v: string) => (list(v).every(isPage) ? undefined : 'addresses of web pages, separated by commas'),
    help: "Pages that users are sent back to with their token when they log in at an identity provider (Keystone's trusted_dashboard), such as https://dashboard.example/auth/websso/.",
  },
  vendor_data: {
    fallback: '',
    check: isFile,
    help: 'File with a JSON object that every guest is told as its vendor data (cloud-init reads its key "cloud-init"); empty: none.',
  },
  vendor_data_services: {
    fallback: '',
    check: (v: string) => (vendorTargets(v) ? undefined : notTargets),
    help: "Services that are asked what else a guest shall be told, NAME@URL with commas between (Nova's vendordata_dynamic_targets).",
  },
  vendor_data_ca: {
    fallback: '',
    check: isFile,
    help: 'File with the certificates of the only authorities that those services may have theirs from; empty: the public ones.',
  },
  guest_uids: {
    fallback: '',
    check: (v: string) => (v === '' ? undefined : uidRange(v)),
    help: 'Numbers of the users that guests run as, one each, e.g. 900000-903999; empty: some that nobody else has.',
  },
  storage_pools: {
    fallback: '',
    check: (v: string) => (storagePools(v) === null ? notPools : undefined),
    help: "Where this machine's volumes lie, NAME:TIER:PLACE with commas between (tiers: ram, flash, disk; places: a directory, filesystem=DEVICE or filesystem=UUID=… or LABEL=… to be mounted, block=DEVICE, a blank one or a file of zeros, which is formatted once, rbd=USER@POOL, a pool of a Ceph cluster), and :IOPS at the end where no cache may ask for more of one volume than so many reads and writes a second; empty: one named local, of tier disk, in the data directory.",
  },
  object_disks: {
    fallback: '',
    check: (v: string) => (objectDisks(v) === null ? notObjectDisks : undefined),
    help: "Where objects' bytes lie on this machine, NAME:DIRECTORY with commas between, each best a file system of its own; empty: one named default, in the data directory.",
  },
  object_copies: {
    fallback: '1',
    check: number(10),
    help: 'On how many disks each object lies, on different hosts as far as there are: all have it before its writer is answered.',
  },
  storage_over_provision: {
    fallback: '20',
    check: (v: string) => (/^\d{1,3}(\.\d{1,2})?$/.test(v) && +v >= 1 ? undefined : 'a number, 1 to 999.99'),
    help: "How many times what its pools hold may be promised to volumes, which take only what is written (Cinder's max_over_subscription_ratio).",
  },
  storage_reserved: {
    fallback: '0',
    check: number(90),
    help: "Percentage of each pool that is kept free (Cinder's reserved_percentage).",
  },
  backup_directory: {
    fallback: '',
    check: (v: string) => (v === '' || v.startsWith('/') ? undefined : 'a directory, from the root on'),
    help: 'Where backups of volumes lie, best another disk or a share of all hosts; empty: in the data directory.',
  },
  migration_ports: {
    fallback: '49152-49215',
    check: portRange,
    help: 'Ports at which servers come to this machine from other hosts (TLS, a key for each), two for each server that is on its way, FIRST-LAST.',
  },
  iscsi_portal: {
    fallback: '',
    check: (v: string) => (v === '' || portalOf(v) ? undefined : 'ADDRESS:FIRST-LAST or ADDRESS:PORT'),
    help: 'Where machines outside reach volumes of this machine by iSCSI, one port for each volume, such as 192.0.2.7:3260-3299; empty: nowhere.',
  },
  accelerator: {
    fallback: 'auto',
    check: oneOf('auto', 'kvm', 'tcg'),
    help: 'auto: KVM after a probe guest booted under it.',
  },
  datapath: {
    fallback: 'auto',
    check: oneOf('auto', 'system', 'netdev'),
    help: "auto: the kernel's Open vSwitch where it works, else user space; system: the kernel's; netdev: user space.",
  },
  password_pattern: {
    fallback: '',
    check: regularExpression,
    help: "Regular expression that users' passwords must match; empty: any password.",
  },
  password_pattern_description: { fallback: '', help: 'What it means, told to whoever chooses another password.' },
  password_days: { fallback: '0', check: number(3650), help: 'Days that a password lasts; 0: for ever.' },
  password_minimum_days: {
    fallback: '0',
    check: number(3650),
    help: 'Days that a password which users chose themselves must last; 0: none.',
  },
  password_unique: {
    fallback: '0',
    check: number(24),
    help: 'How many of their last passwords users may not choose again, the present one among them; 0: any.',
  },
  password_change_first: {
    fallback: 'no',
    check: oneOf('yes', 'no'),
    help: 'yes: a password that an administrator sets is only good for choosing another.',
  },
  lockout_attempts: {
    fallback: '0',
    check: number(1000),
    help: 'Wrong passwords in a row that lock a user out; 0: never (anybody can lock anybody out whose name they know).',
  },
  lockout_seconds: {
    fallback: '1800',
    check: number(31_536_000),
    help: 'How long they do; 0: until an administrator sets another password.',
  },
  inactive_days: {
    fallback: '0',
    check: number(3650),
    help: 'Days without a log-in after which a user is out; 0: never.',
  },
  placement_policy: {
    fallback: 'spread',
    check: oneOf('spread', 'pack'),
    help: 'Of the hosts that take a server the emptiest (spread) or the fullest (pack); a server may ask for the other.',
  },
  rebalance: {
    fallback: 'off',
    check: oneOf('off', 'propose', 'do'),
    help: 'Of servers on hosts that are much fuller than the others: propose shows what should move at /native/v1/rebalance, do also moves it, live and one at a time; off: nothing moves.',
  },
  rebalance_after: {
    fallback: '600',
    check: seconds,
    help: 'Seconds for which a host must have been much fuller before a server leaves it; a server that moved within three times as many stays.',
  },
  consolidate: {
    fallback: 'off',
    check: oneOf('off', 'propose', 'do'),
    help: 'Of hosts with a BMC that nobody needs: propose shows them at /native/v1/consolidation, do also empties them live, one at a time, switches them off and on again before the others become short; off: they stay on.',
  },
  consolidate_after: {
    fallback: '600',
    check: seconds,
    help: 'Seconds for which a host must not have been needed before it is emptied; one that came within three times as many stays on.',
  },
  host_watts_idle: {
    fallback: '0',
    check: number(100_000),
    help: 'What a host takes that does nothing, in watts, where neither a BMC nor its processors measure it.',
  },
  host_watts_max: {
    fallback: '0',
    check: number(100_000),
    help: 'What a host takes all of whose processors are given away, in watts, where nobody measures it; 0: then nobody says it.',
  },
  reclaim_instance_interval: {
    fallback: '0',
    check: number(31_536_000),
    help: 'Seconds for which a deleted server can be restored, as in Nova; 0: it cannot.',
  },
  shelved_offload_time: {
    fallback: '0',
    check: (value) => (value === '-1' ? undefined : number(31_536_000)(value)),
    help: 'Seconds for which a shelved server stays on its host, as in Nova; 0: it leaves at once; -1: not by itself.',
  },
  resize_confirm_window: {
    fallback: '0',
    check: number(31_536_000),
    help: 'Seconds after which a resize is confirmed by itself, as in Nova; 0: never.',
  },
  change_log_days: {
    fallback: '7',
    check: days,
    help: 'How long every change is kept: watchers may be away, and deleted servers are listed, for that long.',
  },
  operation_days: {
    fallback: '30',
    check: days,
    help: 'How long operations (what was asked for and how it ended) and the reasons of decisions are kept.',
  },
  quarantined_guests: {
    fallback: 'run',
    check: oneOf('run', 'stop'),
    help: 'What guests do that the database does not account for (bothy recover). Their disks are kept either way.',
  },
  on_shutdown: {
    fallback: 'drain',
    check: oneOf('drain', 'stop', 'none'),
    help: 'What is done when this machine goes down or starts again, where systemd runs it: drain moves its servers to other hosts as far as there is time, then stops the rest in order; stop only does that; none: nothing.',
  },
  shutdown_seconds: {
    fallback: '300',
    check: number(86_400),
    help: 'How long that may take; systemd waits no longer than InhibitDelayMaxSec of its logind.conf, which is 5 seconds unless it is raised.',
  },
  log_level: { fallback: 'info', check: oneOf('debug', 'info', 'warn', 'error'), help: 'How much the processes log.' },
} as const satisfies Record<string, Definition>;

export type SettingName = keyof typeof definitions;
