/**
 * Asks a bridge of Open vSwitch (its `<bridge>.mgmt` socket) for the counters of the flows with certain cookies, one connection a question. A cookie is found by
 * an index there, so the answer costs as much as what is asked for, however many flows there are. OpenFlow Switch Specification 1.3.5, A.3.5.
 */
import { converse, type Message, message, types } from './conversation.ts';

export interface FlowCounter {
  packets: bigint;
  bytes: bigint;
  /** For how long it has been there. */
  ageMs: number;
}

const flowStatistics = 1;
/** Of a statistics entry, before its match. */
const entryBytes = 48;

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
  let waiting = cookies.length;
  const took = ({ type, xid, body }: Message): boolean => {
    if (type !== types.multipartReply) return false;
    const cookie = cookies[xid - 1];
    if (cookie === undefined) throw new Error('the switch answered what it was not asked');
    found.get(cookie)!.push(...entries(body.subarray(8)));
    const more = (body.readUInt16BE(2) & 1) === 1;
    return !more && --waiting === 0;
  };
  const questions = cookies.map((cookie, at) => message(types.multipartRequest, at + 1, question(cookie)));
  return converse(socketPath, { say: questions, took, timeoutMs }).then(() => found);
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
