/**
 * Finding, starting and stopping engines as processes. Nothing here restarts anything: whoever supervises decides when.
 * If this process dies on any line, an engine that was started goes on and is found again by its pid file and mark.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Engine } from './engine.ts';
import { commandLineOf, identifyProcess } from './process-identity.ts';
import { waitUntil } from './wait.ts';

/** The pid of the engine that already runs, or undefined. */
export function findEngine(engine: Engine): number | undefined {
  const pid = readPid(engine.pidFile);
  return pid !== undefined && isEngine(pid, engine) ? pid : undefined;
}

/**
 * Starts the command in a session of its own; stdout and stderr are appended to `logFile`, or go nowhere where that can't be opened: the disk
 * of the logs stops nothing. Call `prepare` before.
 * @throws where its pid can't be noted; then nothing runs that nobody would find again
 */
export function spawnEngine(engine: Engine, options: { logFile: string }): ChildProcess {
  const log = openLog(options.logFile);
  try {
    const child = spawn(engine.command, engine.args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...engine.env },
      cwd: '/',
      ...(engine.user === undefined ? {} : userIds(engine.user)),
    });
    if (engine.pidFileWriter === 'supervisor' && child.pid !== undefined) {
      notePid(engine, child);
    }
    return child;
  } finally {
    if (log !== 'ignore') closeSync(log);
  }
}

function openLog(file: string): number | 'ignore' {
  try {
    mkdirSync(dirname(file), { recursive: true });
    return openSync(file, 'a', 0o640);
  } catch {
    return 'ignore';
  }
}

/** One that nobody finds again would be started a second time beside itself, at each attempt once more. */
function notePid(engine: Engine, child: ChildProcess): void {
  try {
    writeFileSync(engine.pidFile, `${child.pid}\n`);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** Prepares, starts and waits until ready; adopts the engine where it runs already. Answers its pid. */
export async function ensureEngine(engine: Engine, options: { logFile: string }): Promise<number> {
  const running = findEngine(engine);
  if (running !== undefined) {
    await engine.ready();
    return running;
  }
  await engine.prepare();
  const child = spawnEngine(engine, options);
  const died = new AbortController();
  child.once('error', (cause) => died.abort(new Error(`${engine.name} could not be started`, { cause })));
  child.once('exit', (code, signal) => {
    died.abort(new Error(`${engine.name} ended with ${signal ?? `exit code ${code}`}; see ${options.logFile}`));
  });
  await engine.ready(died.signal);
  child.removeAllListeners();
  child.on('error', () => {}); // its death is seen by findEngine from here on
  child.unref();
  return child.pid!;
}

/**
 * Asks the engine to end, waits, and kills it when it does not. True where there was one to stop. Who knows the pid names
 * it: an engine that writes its own pid file has none in its first moments.
 */
export async function stopEngine(engine: Engine, pid = findEngine(engine)): Promise<boolean> {
  if (pid === undefined || !isEngine(pid, engine)) return false;
  const gone = () => !isEngine(pid, engine);
  signal(pid, engine.stopSignal);
  try {
    await waitUntil(`${engine.name} to end`, gone, { timeoutMs: engine.stopTimeoutMs });
  } catch {
    if (!gone()) signal(pid, 'SIGKILL');
    await waitUntil(`${engine.name} to be killed`, gone, { timeoutMs: 5000 });
  }
  return true;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function readPid(file: string): number | undefined {
  if (!existsSync(file)) return undefined;
  const pid = Number(readFileSync(file, 'utf8').split('\n', 1)[0]);
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}

/** Whether the process is the engine's: by what it is, and only then by what it says. A zombie is gone. */
function isEngine(pid: number, engine: Engine): boolean {
  const identity = identifyProcess(pid);
  if (identity === undefined || !mayRunAs(identity.uid, engine)) return false;
  // Who is not root cannot see which program root's process is, and can do nothing to it either.
  const programs = engine.programs ?? [basename(engine.command)];
  if (identity.program !== undefined && !programs.includes(identity.program)) return false;
  return commandLineOf(pid).includes(engine.mark);
}

function mayRunAs(uid: number | undefined, { user, becomes }: Engine): boolean {
  // In the middle of the change from root to another user, which no one but root begins.
  if (uid === undefined) return becomes !== undefined;
  const own = [0, process.getuid?.()];
  if (user !== undefined) return uid === userIds(user).uid;
  return own.includes(uid) || (becomes !== undefined && uid === userIds(becomes).uid);
}

export interface UserIds {
  uid: number;
  gid: number;
}

/** Numeric ids of a user of this machine, from /etc/passwd. */
export function userIds(name: string): UserIds {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(`this machine has no user ${name}`);
}
