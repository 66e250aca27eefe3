/**
 * Frames that a bridge sends out of one of its ports, a tunnel without a fixed other end, to the address that each names. OpenFlow Switch Specification
 * 1.3.5, A.3.7; the fields of tunnels are Open vSwitch's (ovs-fields(7), NXM_NX_TUN_IPV4_DST and NXM_NX_TUN_IPV6_DST).
 */
import { isIPv6 } from 'node:net';
import { converse, message, types } from './conversation.ts';

export interface TunnelFrame {
  /** The other end, an IPv4 or IPv6 address. */
  to: string;
  /** The whole Ethernet frame, without what a tunnel puts around it. */
  frame: Buffer;
}

const unbuffered = 0xffff_ffff;
const fromController = 0xffff_fffd;
const setField = 25;
const output = 0;
/** Class, field and length of Open vSwitch's extensible matches. */
const tunnelTo = { 4: 0x0001_4004, 6: 0x0001_dc10 } as const;

/**
 * Resolves when the switch has sent all of them; whether they come anywhere nobody says.
 * @param options port: OpenFlow number of the tunnel's port
 * @throws Error where the switch does not answer in time, or refuses one
 */
export function sendFrames(
  socketPath: string,
  frames: readonly TunnelFrame[],
  { port, timeoutMs }: { port: number; timeoutMs: number },
): Promise<void> {
  if (frames.length === 0) return Promise.resolve();
  const sent = frames.map((frame, at) => message(types.packetOut, at + 1, packetOut(frame, port)));
  const barrier = frames.length + 1;
  return converse(socketPath, {
    say: [...sent, message(types.barrierRequest, barrier, Buffer.alloc(0))],
    took: ({ type, xid }) => type === types.barrierReply && xid === barrier,
    timeoutMs,
  });
}

function packetOut({ to, frame }: TunnelFrame, port: number): Buffer {
  const actions = Buffer.concat([setTunnelTo(to), outputTo(port)]);
  const head = Buffer.alloc(16);
  head.writeUInt32BE(unbuffered, 0);
  head.writeUInt32BE(fromController, 4);
  head.writeUInt16BE(actions.length, 8);
  return Buffer.concat([head, actions, frame]);
}

function setTunnelTo(address: string): Buffer {
  const bytes = addressBytes(address);
  const action = Buffer.alloc(Math.ceil((8 + bytes.length) / 8) * 8);
  action.writeUInt16BE(setField, 0);
  action.writeUInt16BE(action.length, 2);
  action.writeUInt32BE(tunnelTo[bytes.length === 4 ? 4 : 6], 4);
  bytes.copy(action, 8);
  return action;
}

function outputTo(port: number): Buffer {
  const action = Buffer.alloc(16);
  action.writeUInt16BE(output, 0);
  action.writeUInt16BE(action.length, 2);
  action.writeUInt32BE(port, 4);
  return action;
}

/** In the order of the wire. */
export function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
  const [first, last] = [words(head), words(tail ?? '')];
  const bytes = Buffer.alloc(16);
  for (const [at, word] of first.entries()) bytes.writeUInt16BE(word, at * 2);
  for (const [at, word] of last.entries()) bytes.writeUInt16BE(word, 16 - (last.length - at) * 2);
  return bytes;
}
