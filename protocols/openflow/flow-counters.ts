/**
 * Asks a bridge of Open vSwitch (its `<bridge>.mgmt` socket) for the counters of the flows with certain cookies, one connection a question. A cookie is found by
 * an index there, so the answer costs as much as what is asked for, however many flows there are. OpenFlow Switch Specification 1.3.5, A.3.5.
 */
import { connect } from 'node:net';

export interface FlowCounter {
  packets: bigint;
  bytes: bigint;
  /** For how long it has been there. */
  ageMs: number;
}

const version = 4;
const types = { hello: 0, error: 1, echoRequest: 2, echoReply: 3, multipartRequest: 18, multipartReply: 19 } as const;
const headerBytes = 8;
const flowStatistics = 1;
/** Of a statistics entry, before its match. */
const entryBytes = 48;

interface Message {
  type: number;
  xid: number;
  body: Buffer;
}

/**
 * The flows of each cookie; none where there are none. Cookies are whole, as OVN sets them: the first 32 bits of the logical flow's UUID.
 * @throws Error where the switch does not answer in time, or not as it should
 */
export function readFlowCounters(
  socketPath: string,
  cookies: readonly number[],
  { timeoutMs }: { timeoutMs: number },
): Promise<Map<number, FlowCounter[]>> {
  const found = new Map<number, FlowCounter[]>(cookies.map((cookie) => [cookie, []]));
  if (cookies.length === 0) return Promise.resolve(found);
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const fail = (error: unknown) => end(() => reject(error));
    const timer = setTimeout(() => fail(new Error(`${socketPath} did not answer in ${timeoutMs} ms`)), timeoutMs);
    let waiting = cookies.length;
    let rest: Buffer = Buffer.alloc(0);
    const took = ({ type, xid, body }: Message) => {
      if (type === types.echoRequest) socket.write(message(types.echoReply, xid, body));
      if (type === types.error) throw new Error(`the switch answered with error ${body.toString('hex', 0, 4)}`);
      if (type !== types.multipartReply) return;
      const cookie = cookies[xid - 1];
      if (cookie === undefined) throw new Error('the switch answered what it was not asked');
      found.get(cookie)!.push(...entries(body.subarray(8)));
      const more = (body.readUInt16BE(2) & 1) === 1;
      if (!more && --waiting === 0) end(() => resolve(found));
    };
    socket.on('error', fail);
    socket.on('close', () => fail(new Error(`${socketPath} closed the connection`)));
    socket.on('data', (data) => {
      try {
        rest = split(Buffer.concat([rest, data]), took);
      } catch (error) {
        fail(error);
      }
    });
    socket.write(message(types.hello, 0, Buffer.alloc(0)));
    socket.write(Buffer.concat(cookies.map((cookie, at) => message(types.multipartRequest, at + 1, question(cookie)))));
  });
}

function message(type: number, xid: number, body: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(version, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(headerBytes + body.length, 2);
  header.writeUInt32BE(xid, 4);
  return Buffer.concat([header, body]);
}

/** All flows with this cookie, in any table, to any port or group, with any match. */
function question(cookie: number): Buffer {
  const body = Buffer.alloc(48);
  body.writeUInt16BE(flowStatistics, 0);
  body.writeUInt8(0xff, 8);
  body.writeUInt32BE(0xffff_ffff, 12);
  body.writeUInt32BE(0xffff_ffff, 16);
  body.writeBigUInt64BE(BigInt(cookie), 24);
  body.writeBigUInt64BE(0xffff_ffff_ffff_ffffn, 32);
  // An OXM match of nothing: type 1, length 4, filled up to 8 bytes.
  body.writeUInt16BE(1, 40);
  body.writeUInt16BE(4, 42);
  return body;
}

/** Hands on each whole message; answers what is left. */
function split(bytes: Buffer, took: (message: Message) => void): Buffer {
  let at = 0;
  while (bytes.length - at >= headerBytes) {
    const length = bytes.readUInt16BE(at + 2);
    if (length < headerBytes) throw new Error('the switch sent a message without a length');
    if (bytes.length - at < length) break;
    const body = bytes.subarray(at + headerBytes, at + length);
    took({ type: bytes.readUInt8(at + 1), xid: bytes.readUInt32BE(at + 4), body });
    at += length;
  }
  return bytes.subarray(at);
}

function entries(bytes: Buffer): FlowCounter[] {
  const found: FlowCounter[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at);
    if (length < entryBytes) throw new Error('the switch sent a flow without a length');
    found.push({
      ageMs: bytes.readUInt32BE(at + 4) * 1000 + Math.floor(bytes.readUInt32BE(at + 8) / 1e6),
      packets: bytes.readBigUInt64BE(at + 32),
      bytes: bytes.readBigUInt64BE(at + 40),
    });
    at += length;
  }
  return found;
}
