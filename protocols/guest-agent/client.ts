/**
 * A client of the agent in a guest, over the channel that QEMU gives it (QEMU Guest Agent Protocol, docs/interop/qemu-ga-ref):
 * a line of JSON each way, no greeting, and nobody at the other end while the guest has no agent.
 *
 * The agent is the guest's: what it sends is bounded and never more than data. The channel remembers what an earlier client left, so each
 * conversation begins with `guest-sync-delimited`, whose answer comes behind a byte 0xFF that no JSON has.
 */
import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export class AgentError extends Error {
  override readonly name = 'AgentError';
  /** silent: nobody answers; refused: the agent says no, in the message. */
  readonly kind: 'silent' | 'refused';
  constructor(kind: AgentError['kind'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

const maxAnswerBytes = 64 * 1024;
/** More than earlier clients can have left: to find that a line says nothing takes time, and the guest may send thousands. */
const maxLines = 256;
const delimiter = 0xff;

/** One command, one answer. @throws AgentError */
export async function askAgent<T = unknown>(
  path: string,
  command: string,
  args: Record<string, unknown> | undefined,
  { timeoutMs }: { timeoutMs: number },
): Promise<T> {
  const socket = connect({ path });
  const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    const lines = readLines(socket);
    const id = randomInt(2 ** 31);
    socket.write(Buffer.concat([Buffer.of(delimiter), line('guest-sync-delimited', { id })]));
    await lines.next((answer) => answer.delimited && (answer.value as { return?: unknown }).return === id);
    socket.write(line(command, args));
    const { value } = await lines.next(() => true);
    if ('error' in value) throw new AgentError('refused', describe(value.error));
    return (value as { return: T }).return;
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw new AgentError('silent', "the guest's agent does not answer", { cause: error });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

const line = (execute: string, args?: Record<string, unknown>): Buffer =>
  Buffer.from(`${JSON.stringify({ execute, ...(args && { arguments: args }) })}\n`);

interface Line {
  value: Record<string, unknown>;
  delimited: boolean;
}

/** Lines as they come; those that a reader does not want are passed over. */
function readLines(socket: Socket) {
  let bytes = Buffer.alloc(0);
  let failed: Error | undefined;
  let look = () => {};
  let lines = 0;
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    if (bytes.length > maxAnswerBytes) socket.destroy(new Error('the agent sends too much'));
    look();
  });
  socket.on('error', (error) => {
    failed = error;
  });
  socket.on('close', () => {
    failed ??= new Error('the channel was closed');
    look();
  });
  /** The next one that says something. */
  const take = (): Line | undefined => {
    for (let end = bytes.indexOf(0x0a); end >= 0 && lines <= maxLines; end = bytes.indexOf(0x0a)) {
      if (++lines > maxLines) socket.destroy(new Error('the agent sends too many lines'));
      const text = bytes.subarray(0, end);
      bytes = bytes.subarray(end + 1);
      const start = text.lastIndexOf(delimiter);
      const value = parse(text.subarray(start + 1).toString('utf8'));
      if (value) return { value, delimited: start >= 0 };
    }
    return undefined;
  };
  return {
    next: (wanted: (line: Line) => boolean): Promise<Line> =>
      new Promise((resolve, reject) => {
        look = () => {
          for (let found = take(); found; found = take()) if (wanted(found)) return resolve(found);
          if (failed) reject(failed);
        };
        look();
      }),
  };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const describe = (error: unknown): string =>
  String((error as { desc?: unknown } | null)?.desc ?? 'the agent refused').slice(0, 500);
