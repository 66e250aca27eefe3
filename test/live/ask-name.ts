/**
 * Runs inside a namespace of the live network test: asks a resolver, with EDNS, and prints its answer as JSON.
 *   ask-name.ts udp|tcp SERVER NAME TYPE
 */
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';

const [transport, server, name, type] = process.argv.slice(2) as [string, string, string, keyof typeof types];
const types = { A: 1, PTR: 12, MX: 15, TXT: 16, AAAA: 28, HTTPS: 65 } as const;
const rcodes = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
const typeNames = new Map(Object.entries(types).map(([text, number]) => [number as number, text]));

const labels = name.split('.').filter(Boolean);
const question = Buffer.concat([
  ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
  Buffer.from([0]),
]);
const query = Buffer.concat([
  // Recursion desired; one question, one additional record.
  Buffer.from([0x42, 0x6f, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]),
  question,
  Buffer.from([0, types[type], 0, 1]),
  // OPT: the root's name, type 41, 1232 bytes, nothing else (RFC 6891).
  Buffer.from([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]),
]);
const start = performance.now();

/** A name with compression, and where it ends. */
function nameAt(packet: Buffer, at: number): [string, number] {
  const parts: string[] = [];
  let end = 0;
  for (let next = at; ; ) {
    const length = packet[next]!;
    if (length >= 0xc0) {
      end ||= next + 2;
      next = packet.readUInt16BE(next) & 0x3fff;
    } else if (length === 0) return [parts.join('.'), end || next + 1];
    else {
      parts.push(packet.toString('latin1', next + 1, next + 1 + length));
      next += 1 + length;
    }
  }
}

function told(packet: Buffer): void {
  const answers: string[] = [];
  let at = nameAt(packet, 12)[1] + 4;
  for (let left = packet.readUInt16BE(6); left > 0; left--) {
    at = nameAt(packet, at)[1];
    const [kind, length] = [packet.readUInt16BE(at), packet.readUInt16BE(at + 8)];
    at += 10;
    const data = packet.subarray(at, at + length);
    if (kind === types.A) answers.push(`A ${[...data].join('.')}`);
    else if (kind === types.AAAA) answers.push(`AAAA ${data.toString('hex')}`);
    else if (kind === types.PTR) answers.push(`PTR ${nameAt(packet, at)[0]}`);
    else answers.push(typeNames.get(kind) ?? String(kind));
    at += length;
  }
  const rcode = rcodes[packet[3]! & 15];
  process.stdout.write(JSON.stringify({ rcode, answers: answers.sort(), ms: Math.round(performance.now() - start) }));
  process.exit(0);
}

setTimeout(() => {
  process.stdout.write(JSON.stringify({ rcode: 'TIMEOUT', answers: [], ms: 6000 }));
  process.exit(0);
}, 6000);

if (transport === 'udp') {
  const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4');
  socket.on('message', told);
  socket.send(query, 53, server);
} else {
  const socket = connect(53, server);
  const parts: Buffer[] = [];
  socket.on('connect', () => socket.write(Buffer.concat([Buffer.from([0, query.length]), query])));
  socket.on('data', (data) => {
    parts.push(data);
    const all = Buffer.concat(parts);
    if (all.length >= 2 && all.length >= 2 + all.readUInt16BE(0)) told(all.subarray(2));
  });
}
