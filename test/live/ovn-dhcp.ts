/**
 * Runs inside a namespace of the live network test: a DHCPv4 client that asks (DISCOVER, REQUEST) and prints the
 * acknowledged lease as JSON. It sets no address.
 *   ovn-dhcp.ts MAC        what most tests look at
 *   ovn-dhcp.ts MAC all    every option as it came: its code, and its bytes in hexadecimal; the next server's address by 0
 */
import { createSocket } from 'node:dgram';

const all = process.argv[3] === 'all';
const mac = Buffer.from(process.argv[2]!.replaceAll(':', ''), 'hex');
const transaction = 0x42_6f_74_68;
const magic = 0x63825363;

function request(type: number, options: Buffer[]): Buffer {
  const packet = Buffer.alloc(240);
  packet.set([1, 1, 6, 0]);
  packet.writeUInt32BE(transaction, 4);
  packet.writeUInt16BE(0x8000, 10); // answer by broadcast: we have no address yet
  packet.set(mac, 28);
  packet.writeUInt32BE(magic, 236);
  const wanted = Buffer.from([55, 6, 1, 3, 6, 26, 51, 121]);
  return Buffer.concat([packet, Buffer.from([53, 1, type]), ...options, wanted, Buffer.from([255])]);
}

function parse(packet: Buffer): { ip: string; options: Map<number, Buffer> } {
  const options = new Map<number, Buffer>();
  for (let at = 240; at < packet.length && packet[at] !== 255; at += 2 + packet[at + 1]!) {
    options.set(packet[at]!, packet.subarray(at + 2, at + 2 + packet[at + 1]!));
  }
  return { ip: [...packet.subarray(16, 20)].join('.'), options };
}

const dotted = (bytes: Buffer | undefined) => (bytes ? [...bytes].join('.') : null);

/** RFC 3442: prefix length, as many bytes of the destination as it needs, router. */
function routes(bytes: Buffer | undefined): string[] {
  const list: string[] = [];
  for (let at = 0; bytes && at < bytes.length; ) {
    const length = bytes[at]!;
    const size = Math.ceil(length / 8);
    const destination = [...bytes.subarray(at + 1, at + 1 + size), 0, 0, 0, 0].slice(0, 4).join('.');
    list.push(`${destination}/${length} ${[...bytes.subarray(at + 1 + size, at + 5 + size)].join('.')}`);
    at += 5 + size;
  }
  return list;
}

const socket = createSocket('udp4');
const send = (packet: Buffer) => socket.send(packet, 67, '255.255.255.255');
socket.on('message', (packet) => {
  const { ip, options } = parse(packet);
  const server = options.get(54)!;
  if (options.get(53)![0] === 2) {
    send(request(3, [Buffer.from([50, 4, ...ip.split('.').map(Number)]), Buffer.from([54, 4, ...server])]));
    return;
  }
  const lease = {
    ip,
    server: dotted(server),
    mask: dotted(options.get(1)),
    router: dotted(options.get(3)),
    dns: dotted(options.get(6)),
    mtu: options.get(26)?.readUInt16BE() ?? null,
    seconds: options.get(51)?.readUInt32BE() ?? null,
    routes: routes(options.get(121)),
    boot: options.get(67)?.toString() ?? null,
  };
  const raw = Object.fromEntries([...options].map(([code, bytes]) => [code, bytes.toString('hex')]));
  const told = all ? { ...raw, 0: packet.subarray(20, 24).toString('hex') } : lease;
  process.stdout.write(JSON.stringify(told));
  process.exit(0);
});
socket.bind(68, () => {
  socket.setBroadcast(true);
  send(request(1, []));
  setInterval(() => send(request(1, [])), 500);
  setTimeout(() => process.exit(1), 5000);
});
