/**
 * Runs inside a namespace of the reachability test, for as long as its input is open. Echoes what comes to PORTS by UDP, and answers each
 * TCP connection. A line `{"id", "protocol", "address", "port", "ms"}` on its input makes it ask there again and again for so long; the line `{"id", "answered"}` says
 * whether an answer came from there.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

interface Ask {
  id: number;
  protocol: 'tcp' | 'udp';
  address: string;
  port: number;
  ms: number;
}

const tryMs = 200;

for (const port of process.argv.slice(2).map(Number)) {
  createServer((socket) => socket.on('error', () => {}).end('here')).listen(port, '::');
  for (const type of ['udp4', 'udp6'] as const) {
    const socket = createSocket({ type, ipv6Only: type === 'udp6' });
    socket.on('message', (message, { address, port: from }) => socket.send(message, from, address));
    socket.on('error', () => {});
    socket.bind(port);
  }
}
process.stdout.write('ready\n');

createInterface({ input: process.stdin }).on('line', async (line) => {
  const ask: Ask = JSON.parse(line);
  const answered = await (ask.protocol === 'tcp' ? byTcp(ask) : byUdp(ask));
  process.stdout.write(`${JSON.stringify({ id: ask.id, answered })}\n`);
});
process.stdin.on('end', () => process.exit(0));

async function byTcp({ address: host, port, ms }: Ask): Promise<boolean> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    const answered = await new Promise<boolean>((resolve) => {
      const socket = connect({ host, port, timeout: tryMs });
      let heard = false;
      socket.on('data', () => {
        heard = true;
      });
      socket.on('timeout', () => socket.destroy());
      socket.on('error', () => {});
      socket.on('close', () => resolve(heard));
    });
    if (answered) return true;
    await setTimeout(20);
  }
  return false;
}

async function byUdp({ address, port, ms }: Ask): Promise<boolean> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.on('error', () => {});
  let heard = false;
  // Connected: what comes from elsewhere is no answer.
  socket.connect(port, address);
  await new Promise((resolve) => socket.once('connect', resolve).once('error', resolve));
  socket.on('message', () => {
    heard = true;
  });
  for (const end = performance.now() + ms; !heard && performance.now() < end; await setTimeout(tryMs / 2)) {
    try {
      socket.send('hello'.padEnd(64));
    } catch {
      break;
    }
  }
  socket.close();
  return heard;
}
