/** Reads of an NBD export, many at a time, counted: a load, no more (protocol: nbd/doc/proto.md, "newstyle negotiation", simple replies). */
import { createConnection, type Socket } from 'node:net';

const option = 0x49484156454f5054n;
const [requestMagic, replyMagic, headBytes] = [0x25609513, 0x67446698, 16];

export class NbdReader {
  readonly #socket: Socket;
  #onData: (data: Buffer) => void = () => {};
  #failed: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data) => this.#onData(data));
    socket.on('error', (error) => {
      this.#failed = error;
    });
  }

  static async connect(path: string, name: string): Promise<NbdReader> {
    const reader = new NbdReader(createConnection(path));
    await reader.#bytes(18);
    const head = Buffer.alloc(4 + 16);
    // No zeros after the answer.
    head.writeUInt32BE(3, 0);
    head.writeBigUInt64BE(option, 4);
    head.writeUInt32BE(1, 12);
    head.writeUInt32BE(name.length, 16);
    reader.#socket.write(Buffer.concat([head, Buffer.from(name)]));
    await reader.#bytes(10);
    return reader;
  }

  /** @returns how many were answered */
  readFor(
    ms: number,
    { offset, length, blockBytes, depth }: { offset: number; length: number; blockBytes: number; depth: number },
  ): Promise<number> {
    const end = performance.now() + ms;
    const answerBytes = headBytes + blockBytes;
    return new Promise((resolve, reject) => {
      let [answered, asked, pending] = [0, 0, Buffer.alloc(0)];
      const ask = (count: number) => {
        const requests = Buffer.alloc(28 * count);
        for (let n = 0; n < count; n++) {
          const block = Math.floor(Math.random() * (length / blockBytes));
          requests.writeUInt32BE(requestMagic, 28 * n);
          requests.writeBigUInt64BE(BigInt(offset + block * blockBytes), 28 * n + 16);
          requests.writeUInt32BE(blockBytes, 28 * n + 24);
        }
        asked += count;
        this.#socket.write(requests);
      };
      this.#onData = (data) => {
        const all = pending.length > 0 ? Buffer.concat([pending, data]) : data;
        const whole = Math.floor(all.length / answerBytes);
        for (let n = 0; n < whole; n++) {
          const at = n * answerBytes;
          if (all.readUInt32BE(at) !== replyMagic || all.readUInt32BE(at + 4) !== 0) reject(new Error('a read failed'));
        }
        pending = Buffer.from(all.subarray(whole * answerBytes));
        answered += whole;
        if (this.#failed) reject(this.#failed);
        if (performance.now() < end) ask(whole);
        else if (answered === asked) resolve(answered);
      };
      ask(depth);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #bytes(count: number): Promise<void> {
    return new Promise((resolve) => {
      let seen = 0;
      this.#onData = (data) => {
        seen += data.length;
        if (seen >= count) resolve();
      };
    });
  }
}
