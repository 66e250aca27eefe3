/**
 * Runs inside a namespace of the live network test.
 *   serve PORT              answers each TCP connection with the address that it came from
 *   pour PORT               sends to each TCP connection as much as it takes
 *   drink HOST PORT MS      takes for so long what comes after the first second, or for half a minute more where nothing does; prints how many thousands of bits a second that was
 *   knock HOST PORT MS      tries until it gets an answer; prints it, or `closed` after MS milliseconds
 */
import { connect, createServer } from 'node:net';

const [mode, ...args] = process.argv.slice(2);

if (mode === 'serve') {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end((socket.remoteAddress ?? '').replace('::ffff:', ''));
  });
  server.listen(Number(args[0]), '::', () => process.stdout.write('ready\n'));
} else if (mode === 'pour') {
  const chunk = Buffer.alloc(65_536);
  const server = createServer((socket) => {
    const pour = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('error', () => {});
    socket.on('drain', pour);
    pour();
  });
  server.listen(Number(args[0]), '::', () => process.stdout.write('ready\n'));
} else if (mode === 'drink') {
  const [host, port, ms] = [args[0]!, Number(args[1]), Number(args[2])];
  // What may come at once has come, and does not count.
  const first = performance.now() + 1000;
  let [bytes, since, last] = [0, 0, 0];
  const socket = connect({ host, port });
  socket.on('error', () => {});
  // Where nothing comes any more its asker is told so, and does not wait for ever.
  setTimeout(() => socket.destroy(), ms + 30_000);
  socket.on('data', (data) => {
    const now = performance.now();
    if (now < first) return;
    if (since === 0) since = now;
    else bytes += data.length;
    last = now;
    if (now - since >= ms) socket.destroy();
  });
  socket.on('close', () => {
    process.stdout.write(`${last > since ? Math.round((bytes * 8) / (last - since)) : 0}\n`);
    process.exit(0);
  });
} else {
  const [host, port, ms] = [args[0]!, Number(args[1]), Number(args[2])];
  const end = Date.now() + ms;
  let answer: string | undefined;
  while (answer === undefined && Date.now() < end) answer = await knock(host, port);
  process.stdout.write(`${answer ?? 'closed'}\n`);
  process.exit(0);
}

/** Undefined when there was no answer within a moment. */
function knock(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port });
    const timer = setTimeout(() => socket.destroy(), 150);
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      if (text) resolve(text);
      else setTimeout(() => resolve(undefined), 10);
    });
  });
}
