/**
 * The frames by which a host finds out whether its tunnels carry what guests send. They go inside Geneve (RFC 8926) to the port that OVN's own tunnels use, under
 * a virtual network identifier that no network has, and the other end's Open vSwitch sends each of them back as long as it came. Who has no Open
 * vSwitch yet makes them by itself (`datagram`). Pure.
 */
import { createHash } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';

export const genevePort = 6081;
/** The last but one of 24 bits: OVN counts up from 1. */
export const probeNetwork = 0xff_fffe;
/** OpenFlow number of the tunnel's port in the bridge of its own. */
export const tunnelPort = 1;

/** IEEE 802, local experimental EtherType 1: nothing else listens for it. */
const etherType = 0x88b5;
const transEthernet = 0x6558;
const geneveHeader = 8;
const udpHeader = 8;

/**
 * Bytes of the longest packet that tunnels must carry by IPv4 and IPv6: what OVN makes of a frame with 1442 bytes in it. A probe has none of
 * OVN's options and is as much longer inside.
 */
const neededMtu = { 4: 1500, 6: 1520 } as const;
export const mtuFor = (address: string): number => neededMtu[isIPv6(address) ? 6 : 4];

export const sizes = ['short', 'whole'] as const;
export type FrameSize = (typeof sizes)[number];

const ipHeader = { 4: 20, 6: 40 } as const;
const frameBytes: Readonly<Record<FrameSize, number>> = {
  short: 64,
  whole: neededMtu[4] - ipHeader[4] - udpHeader - geneveHeader,
};

/** Locally administered addresses that say what a frame is: asked or given back, short or whole. */
const mark = (way: 'asked' | 'answered', size: FrameSize): string =>
  `02:00:00:00:${way === 'asked' ? '01' : '02'}:${size === 'short' ? '01' : '02'}`;
const source = '02:00:00:00:00:00';

const bytesOf = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

/** As it is inside a tunnel. */
export function probeFrame(size: FrameSize): Buffer {
  const frame = Buffer.alloc(frameBytes[size]);
  bytesOf(mark('asked', size)).copy(frame, 0);
  bytesOf(source).copy(frame, 6);
  frame.writeUInt16BE(etherType, 12);
  return frame;
}

/** The same with Geneve's header, as the payload of a UDP datagram. */
export function datagram(size: FrameSize): Buffer {
  const header = Buffer.alloc(geneveHeader);
  header.writeUInt16BE(transEthernet, 2);
  header.writeUInt32BE(probeNetwork * 256, 4);
  return Buffer.concat([header, probeFrame(size)]);
}

/** Which of them was given back; undefined: it is none of ours. */
export function answerOf(payload: Buffer): FrameSize | undefined {
  if (payload.length < geneveHeader + 14 || payload.readUInt32BE(4) >>> 8 !== probeNetwork) return undefined;
  const to = payload.subarray(geneveHeader, geneveHeader + 6);
  return sizes.find(
    (size) => to.equals(bytesOf(mark('answered', size))) && payload.length >= geneveHeader + frameBytes[size],
  );
}

export interface TunnelPeer {
  hostId: string;
  address: string;
}

/** By which the switch's count of what came back is asked for. 52 bits: a double holds them. */
export const cookieOf = ({ address }: Pick<TunnelPeer, 'address'>, size: FrameSize): number =>
  Number.parseInt(createHash('sha256').update(`${address} ${size}`).digest('hex').slice(0, 13), 16);

const anybodys = 0;

/**
 * What the bridge does, in ovs-ofctl's words: what is asked goes back where it came from, what is given back is counted by who gave it. Nothing comes to any other port.
 * @param peers of the address family that this host's tunnels have
 */
export function probeFlows(peers: readonly TunnelPeer[], ownAddress: string): string {
  const family = isIPv6(ownAddress) ? 'ipv6' : '';
  const [from, field] = family ? ['tun_ipv6_src', 'IPV6'] : ['tun_src', 'IPV4'];
  const match = (way: 'asked' | 'answered', size: FrameSize) =>
    `priority=100,in_port=${tunnelPort},dl_type=${etherType},dl_dst=${mark(way, size)}`;
  const back = `move:NXM_NX_TUN_${field}_SRC[]->NXM_NX_TUN_${field}_DST[]`;
  return [
    `cookie=${anybodys},priority=0,actions=drop`,
    ...sizes.map(
      (size) =>
        `cookie=${anybodys},${match('asked', size)},actions=${back},mod_dl_dst:${mark('answered', size)},in_port`,
    ),
    ...peers.flatMap((peer) =>
      sizes.map(
        (size) => `cookie=${cookieOf(peer, size)},${match('answered', size)},${from}=${peer.address},actions=drop`,
      ),
    ),
    '',
  ].join('\n');
}

/** `<chassis>@<address>`, as ovn-controller stamps the tunnels that it makes; newer ones say their own address behind it. */
export function peerOf(stamp: string | undefined): TunnelPeer | undefined {
  const [, hostId, address] = /^([0-9a-f-]{36})@([^%]+)/.exec(stamp ?? '') ?? [];
  if (!hostId || !address || isIP(address) === 0) return undefined;
  return { hostId, address };
}
