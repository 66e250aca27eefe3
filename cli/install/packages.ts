/** Debian packages that a cloud needs, each with its reason. Recommended packages are never taken along. */

export interface NeededPackage {
  name: string;
  why: string;
}

const cloud: NeededPackage[] = [
  { name: 'qemu-system-x86', why: 'runs the guests' },
  { name: 'qemu-utils', why: 'qemu-img: looks into images, makes disks' },
  { name: 'e2fsprogs', why: "file systems on guests' ephemeral disks; the guest image's root" },
  { name: 'ovmf', why: 'UEFI for guests whose image asks for it' },
  { name: 'swtpm', why: 'a TPM for guests whose image or flavor asks for it' },
  { name: 'openvswitch-switch', why: 'the switch on each host' },
  { name: 'ovn-central', why: 'OVN: network databases and ovn-northd' },
  { name: 'libtcmalloc-minimal4', why: 'lets ovn-northd take half the time (engine/ovn-central.ts)' },
  { name: 'ovn-host', why: 'OVN: ovn-controller' },
  { name: 'haproxy', why: 'hands metadata to the guests' },
  { name: 'unbound', why: "answers the guests' questions for names" },
  { name: 'tayga', why: 'translates for routers between IPv6 and IPv4 (NAT64)' },
  { name: 'nftables', why: "keeps guests away from the host's addresses" },
  { name: 'iproute2', why: 'network cards and namespaces' },
  { name: 'ethtool', why: 'checksum offload of virtual cables' },
  { name: 'postgresql', why: 'the database' },
  { name: 'ipmitool', why: 'turns hosts off and on whose service processor speaks IPMI' },
];

/** What the guest image builder uses, see deploy/guest-image. */
const image: NeededPackage[] = [
  { name: 'kmod', why: 'guest image: which kernel module needs which' },
  { name: 'lz4', why: 'guest image: packs the initial file system' },
  { name: 'syslinux', why: 'guest image: boot loader' },
  { name: 'syslinux-common', why: 'guest image: boot sector' },
  { name: 'dosfstools', why: 'guest image: boot partition' },
  { name: 'mtools', why: 'guest image: fills the boot partition' },
  { name: 'cpio', why: 'guest image: initial file system' },
  { name: 'fdisk', why: 'guest image: partitions' },
];

const demo: NeededPackage[] = [{ name: 'openssh-client', why: 'logs in to guests' }];

/** Only where a machine's settings name a portal for volumes of machines outside. */
export const exportPackages: NeededPackage[] = [{ name: 'tgt', why: 'gives volumes to machines outside, by iSCSI' }];

/** Only where a machine's settings name a pool of a Ceph cluster. */
export const clusterPackages: NeededPackage[] = [
  { name: 'ceph-common', why: 'the rbd command: makes, clones and deletes volumes in Ceph' },
  { name: 'qemu-block-extra', why: 'QEMU opens volumes in Ceph, and others by iSCSI' },
];

const test: NeededPackage[] = [
  { name: 'chromium', why: 'tests open consoles in a real browser' },
  { name: 'python3-openstackclient', why: 'conformance tests drive the cloud with it' },
  { name: 'awscli', why: "a client of the cloud's objects (S3)" },
  { name: 's3cmd', why: "a client of the cloud's objects (S3)" },
  { name: 'rclone', why: "a client of the cloud's objects (S3, Swift)" },
  { name: 'restic', why: "keeps backups in the cloud's objects (S3)" },
  { name: 'git', why: 'repository checks' },
  { name: 'strace', why: 'shows which files qemu-img opens' },
  { name: 'mmdebstrap', why: "builds a guest with Debian's own cloud-init" },
  ...exportPackages,
  { name: 'openipmi', why: 'a simulated service processor that speaks IPMI' },
  { name: 'libiscsi-bin', why: 'a machine outside that has a volume by iSCSI' },
  ...clusterPackages.filter(({ name }) => name === 'qemu-block-extra'),
];

/** What a machine needs that joins a cloud. */
const host = cloud.filter(({ name }) => name !== 'ovn-central' && name !== 'postgresql');

export const packageSets = {
  cloud,
  host,
  demo: [...cloud, ...image, ...demo],
  test: [...cloud, ...image, ...demo, ...test],
};
export type PackageSet = keyof typeof packageSets;
