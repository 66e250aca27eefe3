/**
 * The supervisor process (internal: `bothy up` starts it, holding the cloud's lock). Lives as long as the cloud is up.
 * Imports only what it runs on: with Node.js itself it stays near 50 MiB.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { cloudEngines } from '../cloud/engines.ts';
import { readIdentity } from '../cloud/identity.ts';
import { cloudLayout } from '../cloud/layout.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { nodeFlags, sourceRoot } from '../process/definitions.ts';
import { collectWhenIdle, exposedGc } from '../process/idle.ts';
import { run } from '../run.ts';
import { differing, loadSettings, type Settings, settingsOfFile } from '../settings.ts';
import { Renewal } from '../supervisor/renewal.ts';
import type { Log } from '../supervisor/runner.ts';
import { ShutdownWatch } from '../supervisor/shutdown-watch.ts';
import { type Answer, listen, type Request } from '../supervisor/socket.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

export const command: Command = {
  summary: 'run the processes of the cloud (internal)',
  usage: '[--data DIRECTORY]',
  description: "Runs the processes of the cloud until it is told to stop. Started by 'bothy up', not by people.",
  options: { ...dataOption, foreground: { type: 'boolean', help: 'show what happens on standard output too' } },
  positionals: { min: 0, max: 0 },
  run: async (args) => supervise(args.text('data'), args.flag('foreground')),
};

async function supervise(data: string | undefined, foreground: boolean): Promise<number> {
  const settings = loadSettings(data);
  // Removed since it was prepared: processes would make its directories anew, and nobody would know whose they are.
  if (readIdentity(settings.paths) === undefined)
    throw new CommandError(`${settings.paths.data} is no data directory of a cloud`, "run 'bothy up'");
  const layout = cloudLayout(settings.paths);
  const startedWith = settingsOfFile(settings.paths);
  const log = logger(layout.supervisorLog, foreground);
  const supervisor = new Supervisor(cloudEngines(settings), { logDirectory: settings.paths.log, log });
  let stopping: Promise<void> | undefined;
  let finished!: () => void;
  const end = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const stop = (keepGuests: boolean) => {
    stopping ??= supervisor.stop({ keepGuests }).catch((error: Error) => {
      log('error', 'stopping failed', { error: error.message });
    });
    return stopping;
  };
  const server = await listen(layout.supervisorSocket, (request, answer, closed) => {
    const told: typeof answer =
      request.command === 'status'
        ? (line) => answer({ ...line, changedSettings: differing(startedWith, settingsOfFile(settings.paths)) })
        : answer;
    serve(supervisor, request, told, closed, async (keepGuests) => {
      await stop(keepGuests);
      finished();
    });
  });
  // A terminal's Ctrl-C or a service manager's stop: guests are kept, for nobody asked to end them.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      log('info', 'stopping', { signal, guests: 'kept' });
      void stop(true).then(finished);
    });
  }
  const renewal = new Renewal({ directory: layout.certificates, renew: () => renew(settings), log });
  renewal.start();
  const shutdowns = watchShutdowns(settings, log);
  log('info', 'supervisor started', { pid: process.pid, data: settings.paths.data });
  supervisor.start();
  collectWhenIdle(exposedGc());
  await end;
  renewal.stop();
  shutdowns?.stop();
  log('info', 'supervisor ended', { pid: process.pid });
  server.close();
  rmSync(layout.supervisorSocket, { force: true });
  // Kept processes are children whose end is still awaited.
  setTimeout(() => process.exit(0), 100).unref();
  return 0;
}

/** Undefined where systemd does not run the machine, or nothing is to be done. */
function watchShutdowns({ paths, values }: Settings, log: Log): ShutdownWatch | undefined {
  if (values.on_shutdown === 'none' || !existsSync('/run/systemd/system')) return undefined;
  // In a session of its own: it goes on when this process is stopped by it.
  const begin = (args: string[], lock: 'ignore' | Writable) => {
    const command = [...nodeFlags, join(sourceRoot, 'cli/main.ts'), 'shutdown', ...args, '--data', paths.data];
    const output = openSync(join(paths.log, 'shutdown.log'), 'w', 0o640);
    const child = spawn(process.execPath, command, { stdio: ['ignore', output, output, lock], detached: true });
    closeSync(output);
    child.on('error', (error) => log('error', 'the shutdown can not be done', { error: error.message }));
    child.unref();
    return child;
  };
  let shutdown: ChildProcess | undefined;
  const watch = new ShutdownWatch({
    onShutdown: (lock) => {
      shutdown = begin([], lock);
    },
    onCancel: () => shutdown?.kill(),
    log,
  });
  watch.start();
  begin(['--over'], 'ignore');
  return watch;
}

async function renew({ paths }: Settings): Promise<void> {
  await run(process.execPath, [...nodeFlags, join(sourceRoot, 'cli/main.ts'), 'renew', '--data', paths.data]);
}

function serve(
  supervisor: Supervisor,
  request: Request,
  answer: (line: Answer) => void,
  closed: AbortSignal,
  stop: (keepGuests: boolean) => Promise<void>,
): void {
  const now = (done: boolean): Answer => ({ done, pid: process.pid, engines: supervisor.status() });
  switch (request.command) {
    case 'status':
      answer(now(true));
      return;
    case 'watch': {
      const look = () => {
        const state = now(false);
        const done = state.engines.every((engine) => engine.state === 'ready');
        answer({ ...state, done });
        if (done) unwatch();
      };
      const unwatch = supervisor.watch(look);
      closed.addEventListener('abort', unwatch);
      look();
      return;
    }
    case 'restart':
      if (supervisor.restart(request.name)) answer(now(true));
      else answer({ ...now(true), error: `there is no process '${request.name}'` });
      return;
    case 'stop': {
      const unwatch = supervisor.watch(() => answer(now(false)));
      void stop(request.keepGuests).then(() => {
        unwatch();
        answer(now(true));
      });
      return;
    }
    default:
      answer({ ...now(true), error: 'unknown request' });
  }
}

function logger(file: string, foreground: boolean): Log {
  return (level, message, fields) => {
    const time = new Date().toISOString();
    try {
      appendFileSync(file, `${JSON.stringify({ level, time, process: 'supervisor', message, ...fields })}\n`, {
        mode: 0o640,
      });
    } catch {
      // A full disk must not end the supervisor.
    }
    if (!foreground) return;
    const { engine, ...rest } = fields;
    const facts = Object.entries(rest).map(([key, value]) => `${key}=${value}`);
    process.stdout.write(
      `${time.slice(11, 19)} ${String(engine ?? 'bothy').padEnd(16)} ${message} ${facts.join(' ')}\n`,
    );
  };
}
