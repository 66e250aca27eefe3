/** A simulated guest's screen: RFB as QEMU begins it (RFC 6143, section 7.1 to 7.3), and then nothing is ever drawn. */
import type { Socket } from 'node:net';

const [width, height] = [720, 400];

function serverInit(): Buffer {
  const name = Buffer.from('QEMU');
  const head = Buffer.alloc(24);
  head.writeUInt16BE(width, 0);
  head.writeUInt16BE(height, 2);
  // 32 bits a pixel of depth 24, true colour, 8 bits each.
  Buffer.from([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0]).copy(head, 4);
  head.writeUInt32BE(name.length, 20);
  return Buffer.concat([head, name]);
}

/** Each answer after so many bytes of the viewer: its version, the security type None, that it shares. */
const dialogue: readonly [bytes: number, answer: Buffer][] = [
  [12, Buffer.from([1, 1])],
  [1, Buffer.alloc(4)],
  [1, serverInit()],
];

export function serveScreen(socket: Socket): void {
  let [step, heard] = [0, 0];
  socket.write('RFB 003.008\n');
  socket.on('data', (bytes) => {
    heard += bytes.length;
    for (let next = dialogue[step]; next && heard >= next[0]; next = dialogue[++step]) {
      heard -= next[0];
      socket.write(next[1]);
    }
  });
}
