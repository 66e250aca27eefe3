import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AgentError, askAgent } from './client.ts';

type Request = { execute: string; arguments?: Record<string, unknown> };

/** An agent that answers each request; what it is asked is in `asked`. */
async function agent(t: TestContext, answer: (request: Request, socket: Socket) => void, before = '') {
  const directory = mkdtempSync(join(tmpdir(), 'ba-'));
  const path = join(directory, 'agent.sock');
  const asked: Request[] = [];
  const server = createServer((socket) => {
    socket.write(before);
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += String(chunk);
      const lines = text.split('\n');
      text = lines.pop()!;
      for (const each of lines) {
        const request = JSON.parse(Buffer.from(each.replaceAll('\xff', ''), 'latin1').toString()) as Request;
        asked.push(request);
        answer(request, socket);
      }
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  return { path, asked };
}

const say = (socket: Socket, value: unknown) => socket.write(`${JSON.stringify(value)}\n`);
const sync = ({ arguments: args }: Request, socket: Socket) => {
  socket.write(Buffer.of(0xff));
  say(socket, { return: args!.id });
};

test('a command is asked after the channel is in step, past what an earlier client left', async (t) => {
  const { path, asked } = await agent(
    t,
    (request, socket) => {
      if (request.execute === 'guest-sync-delimited') sync(request, socket);
      else say(socket, { return: { done: '小屋' } });
    },
    '{"return": 5}\nhalf a line{"ret',
  );
  assert.deepEqual(await askAgent(path, 'guest-do', { a: 1 }, { timeoutMs: 2000 }), { done: '小屋' });
  assert.deepEqual(
    asked.map(({ execute }) => execute),
    ['guest-sync-delimited', 'guest-do'],
  );
});

test('a refusal is told in the agent’s words', async (t) => {
  const { path } = await agent(t, (request, socket) => {
    if (request.execute === 'guest-sync-delimited') sync(request, socket);
    else say(socket, { error: { class: 'GenericError', desc: 'child process has failed to set user password' } });
  });
  await assert.rejects(
    askAgent(path, 'guest-set-user-password', {}, { timeoutMs: 2000 }),
    (error: AgentError) => error.kind === 'refused' && /failed to set user password/.test(error.message),
  );
});

const silent: [string, (request: Request, socket: Socket) => void][] = [
  ['nobody answers', () => {}],
  ['the channel ends', (_request, socket) => socket.destroy()],
  ['more comes than an answer has', (_request, socket) => socket.write('x'.repeat(100_000))],
  ['lines come that say nothing, in thousands', (_request, socket) => socket.write('\n'.repeat(60_000))],
  ['an answer to another question comes', (_request, socket) => say(socket, { return: 'another' })],
];
for (const [name, answer] of silent) {
  test(`${name}: the agent is silent`, async (t) => {
    const { path } = await agent(t, answer);
    await assert.rejects(askAgent(path, 'guest-ping', undefined, { timeoutMs: 100 }), { kind: 'silent' });
  });
}

test('no channel: the agent is silent', async () => {
  await assert.rejects(askAgent('/nowhere/agent.sock', 'guest-ping', undefined, { timeoutMs: 100 }), AgentError);
});
