/**
 * One conversation with a bridge of Open vSwitch (its `<bridge>.mgmt` socket): a connection, what is said, and answers until they are all there. OpenFlow Switch
 * Specification 1.3.5, 7.1 and 7.5. Owns the connection for as long as it lasts.
 */
import { connect } from 'node:net';

export interface Message {
  type: number;
  xid: number;
  body: Buffer;
}

const version = 4;
export const types = {
  ...{ hello: 0, error: 1, echoRequest: 2, echoReply: 3, packetOut: 13 },
  ...{ multipartRequest: 18, multipartReply: 19, barrierRequest: 20, barrierReply: 21 },
} as const;
const headerBytes = 8;

export interface Conversation {
  say: readonly Buffer[];
  /** Hears each message but echoes and errors. @returns whether it was the last that is waited for */
  took(message: Message): boolean;
  timeoutMs: number;
}

/** @throws Error where the switch does not answer in time, refuses, or says what it was not asked */
export function converse(socketPath: string, { say, took, timeoutMs }: Conversation): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const fail = (error: unknown) => end(() => reject(error));
    const timer = setTimeout(() => fail(new Error(`${socketPath} did not answer in ${timeoutMs} ms`)), timeoutMs);
    let rest: Buffer = Buffer.alloc(0);
    const hear = (heard: Message) => {
      if (heard.type === types.echoRequest) socket.write(message(types.echoReply, heard.xid, heard.body));
      else if (heard.type === types.error)
        throw new Error(`the switch answered with error ${heard.body.toString('hex', 0, 4)}`);
      else if (took(heard)) end(resolve);
    };
    socket.on('error', fail);
    socket.on('close', () => fail(new Error(`${socketPath} closed the connection`)));
    socket.on('data', (data) => {
      try {
        rest = split(Buffer.concat([rest, data]), hear);
      } catch (error) {
        fail(error);
      }
    });
    socket.write(message(types.hello, 0, Buffer.alloc(0)));
    socket.write(Buffer.concat(say));
  });
}

export function message(type: number, xid: number, body: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt8(version, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(headerBytes + body.length, 2);
  header.writeUInt32BE(xid, 4);
  return Buffer.concat([header, body]);
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
