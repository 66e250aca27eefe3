/** A shell of the small guest on its serial port, for live tests of guests without a network. */
import { connect, type Socket } from 'node:net';
import { until } from './until.ts';

const prompt = /\$ $/;
const typedAgainMs = 10_000;
const bootMs = 120_000;

export class GuestShell {
  readonly #socket: Socket;
  #text = '';
  #commands = 0;
  #ended = false;
  #why: string | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (text) => {
      this.#text += text;
    });
    socket.on('error', (error) => {
      this.#why = error.message;
    });
    socket.on('close', () => {
      this.#ended = true;
    });
  }

  /** At its shell, after a boot if it has to be. One that is started just now has its serial port a moment after its QEMU is there. */
  static async open(path: string): Promise<GuestShell> {
    const deadline = Date.now() + bootMs;
    let shell = new GuestShell(connect(path));
    const isAsked = () => {
      if (shell.#ended && Date.now() < deadline) shell = new GuestShell(connect(path));
      // A getty that began before somebody listened says its words again.
      shell.#socket.write('\n');
      return /login: $|\$ $/.test(shell.#text);
    };
    while (!isAsked()) {
      const said = () => shell.#why ?? shell.#text.slice(-500);
      if (Date.now() > deadline) throw new Error(`waited in vain for login: ${said()}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    if (prompt.test(shell.#text)) return shell;
    // A line that was meant to wake the getty may be taken for an empty password by a guest that is slow: then it asks again.
    do {
      if (Date.now() > deadline) throw new Error(`was not let in: ${shell.#text.slice(-500)}`);
      await shell.#answer('cirros', /assword: $|login: $/);
      if (/assword: $/.test(shell.#text)) await shell.#answer('gocubsgo', /login: $|\$ $/);
    } while (!prompt.test(shell.#text));
    // Nothing that is typed comes back, and no prompt.
    await shell.#answer('stty -echo', prompt);
    await shell.#answer('PS1=; echo ready', /ready\r?\n$/);
    return shell;
  }

  /** The one that was opened before, of a guest that goes on: at another socket, of another host. */
  static async again(path: string): Promise<GuestShell> {
    const shell = new GuestShell(connect(path));
    const deadline = Date.now() + bootMs;
    // Of a line that was cut off when the guest went nothing is done; what is typed before it listens there may be lost.
    while (!/ready\r?\n$/.test(shell.#text)) {
      if (Date.now() > deadline)
        throw new Error(`waited in vain for the shell: ${shell.#why ?? shell.#text.slice(-500)}`);
      shell.#socket.write('\u0015echo ready\n');
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    return shell;
  }

  /** What the command says on both outputs; it runs as root. @throws where it fails, and where its machine ends meanwhile */
  async run(command: string, timeoutMs = 60_000): Promise<string> {
    const mark = `end-of-${++this.#commands}`;
    this.#text = '';
    this.#socket.write(`sudo sh -c '${command}' 2>&1; echo ${mark}=$?\n`);
    const end = new RegExp(`([\\s\\S]*)${mark}=(\\d+)\r?\n`);
    const isDone = () => {
      if (end.test(this.#text)) return true;
      if (this.#ended) throw new Error(`the guest’s QEMU has ended before this was done: ${command}`);
      return false;
    };
    await until(`the guest to have done: ${command}`, isDone, { timeoutMs });
    const [, output = '', status] = end.exec(this.#text)!;
    if (status !== '0') throw new Error(`${command} ended with ${status}: ${output}`);
    return output.replaceAll('\r', '').trim();
  }

  close(): void {
    this.#socket.destroy();
  }

  /**
   * What is typed while the guest turns from one question to the next may be lost: what it has not echoed in a while is typed again. Its terminal may echo what its getty
   * then throws away: a line without anything has it ask again.
   */
  async #answer(text: string, next: RegExp): Promise<void> {
    this.#text = '';
    this.#socket.write(`${text}\n`);
    let typedMs = Date.now();
    const answered = () => {
      if (next.test(this.#text)) return true;
      if (Date.now() - typedMs > typedAgainMs) {
        this.#socket.write(this.#text.includes(text) ? '\n' : `${text}\n`);
        typedMs = Date.now();
      }
      return false;
    };
    await until(`an answer to ${text}`, answered, { timeoutMs: 60_000 });
  }
}

/**
 * Of a shell that is at this serial port already, wherever its guest came from.
 * @returns all that the port said meanwhile, the command's own echo too
 */
export async function askShell(path: string, command: string): Promise<string> {
  const socket = connect(path);
  let text = '';
  socket.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  socket.on('error', () => {});
  try {
    socket.write(`${command}; echo done-$((1+1))\n`);
    await until(`an answer to ${command}`, () => /done-2/.test(text), { timeoutMs: 60_000 });
    return text.replaceAll('\r', '');
  } finally {
    socket.destroy();
  }
}
