/** What a mirror of a simulated QEMU sends (moving.ts) comes into a file. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';

export function takeWrites(socket: Socket, fileOf: () => string): void {
  let text = '';
  socket.setEncoding('latin1').on('data', (piece) => {
    text += piece;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const [offset, content] = JSON.parse(text.slice(0, end)) as [number, string];
      text = text.slice(end + 1);
      const path = fileOf();
      const before = readFileSync(path);
      const written = Buffer.from(content, 'base64');
      const file = Buffer.alloc(Math.max(before.length, offset + written.length));
      before.copy(file);
      written.copy(file, offset);
      writeFileSync(path, file);
      socket.write('ok\n');
    }
  });
}
