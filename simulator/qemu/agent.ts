/** The agent in a simulated guest: on the channel that QEMU gives it, as qemu-ga answers there. */
import type { Socket } from 'node:net';

export interface AgentBehaviour {
  /** Passwords that were set, by user. */
  passwords: Map<string, string>;
  /** What it refuses to set one with; null: it sets it. */
  refuses: string | null;
  /** Called when it is told to shut the guest down; absent: it can't. */
  shutdown?: () => void;
}

interface Request {
  execute: string;
  arguments?: Record<string, unknown>;
}

/** @param behaviour undefined: the guest has no agent, and nobody reads the channel */
export function serveAgent(socket: Socket, behaviour: () => AgentBehaviour | undefined): void {
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    const agent = behaviour();
    if (!agent) return;
    text += String(chunk);
    const lines = text.split('\n');
    text = lines.pop()!;
    for (const line of lines) answer(socket, agent, JSON.parse(line.replaceAll('\xff', '')) as Request);
  });
}

function answer(socket: Socket, agent: AgentBehaviour, { execute, arguments: args = {} }: Request): void {
  const say = (value: unknown) => socket.write(`${JSON.stringify(value)}\n`);
  if (execute === 'guest-sync-delimited') {
    socket.write(Buffer.of(0xff));
    say({ return: args.id });
  } else if (execute === 'guest-shutdown' && agent.shutdown) {
    // Done, it says nothing.
    agent.shutdown();
  } else if (execute !== 'guest-set-user-password') {
    say({ error: { class: 'CommandNotFound', desc: `The command ${execute} has not been found` } });
  } else if (agent.refuses !== null) {
    say({ error: { class: 'GenericError', desc: agent.refuses } });
  } else {
    agent.passwords.set(String(args.username), Buffer.from(String(args.password), 'base64').toString());
    say({ return: {} });
  }
}
