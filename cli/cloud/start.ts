/**
 * Brings a cloud up: machine, files, then the supervisor. Two starts of one data directory cannot both win: the
 * supervisor runs under a lock that the kernel frees with it, whatever ends it.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { waitUntil } from '../../engine/wait.ts';
import type { Host } from '../../host/index.ts';
import { CommandError } from '../command.ts';
import { mendInterrupted } from '../install/apt.ts';
import { ensureInstalled } from '../install/index.ts';
import type { PackageSet } from '../install/packages.ts';
import { nodeFlags, sourceRoot } from '../process/definitions.ts';
import type { Health, HealthPart } from '../process/health.ts';
import type { Settings } from '../settings.ts';
import { lastLines } from '../supervisor/log-file.ts';
import type { EngineStatus } from '../supervisor/runner.ts';
import { type Answer, ask } from '../supervisor/socket.ts';
import { type Progress, step } from '../terminal.ts';
import { checkGuestUids } from './guest-uids.ts';
import { readIdentity } from './identity.ts';
import { cloudLayout } from './layout.ts';
import { underMachineLock } from './machine-lock.ts';
import { requireAlone, requireCloudNamespace } from './namespace.ts';
import { packagesBySettings } from './packages.ts';
import { checkCards, checkDatapath, checkDisk, checkPorts, portsOf, requireRoot } from './preflight.ts';
import type { PreparedCloud } from './prepare.ts';

type HostHealth = ReturnType<Host['status']>;

/** After this many failures in a row a process that never came up is reported instead of waited for. */
const patience = 4;
const startDeadlineMs = 180_000;
const healthDeadlineMs = 30_000;

/** The pid of the cloud's supervisor; undefined where it is down. */
const supervisorPid = async (settings: Settings): Promise<number | undefined> => (await askSupervisor(settings))?.pid;

export const askSupervisor = ({ paths }: Settings): Promise<Answer | undefined> =>
  ask(cloudLayout(paths).supervisorSocket, { command: 'status' });

/** Everything before the supervisor. Call it under the machine's lock. */
export async function makeReady(
  settings: Settings,
  packages: PackageSet,
  options: { newDatabase?: boolean } = {},
): Promise<PreparedCloud> {
  requireRoot('starting a cloud');
  requireCloudNamespace(settings);
  checkDisk(settings);
  checkCards(settings);
  checkGuestUids(settings);
  if ((await supervisorPid(settings)) === undefined) requireAlone(settings);
  const joined = readIdentity(settings.paths)?.joined;
  const set = joined ? 'host' : packages;
  await checkDatapath(settings);
  if (!(await ensureInstalled(set, packagesBySettings(settings)))) mendInterrupted();
  if ((await supervisorPid(settings)) === undefined) await checkPorts(settings, await portsNeeded(settings));
  if (!joined && (await supervisorPid(settings)) === undefined) {
    const { requireKnownDatabase } = await import('./known-database.ts');
    await requireKnownDatabase(settings, { newDatabase: options.newDatabase ?? false });
  }
  // Loaded only now: it brings the certificate library, which other commands do without.
  const { prepareCloud } = await import('./prepare.ts');
  const prepared = await prepareCloud(settings);
  await checkReach(settings);
  return prepared;
}

/** Processes that go on from before, such as those of a supervisor that was killed, hold their ports rightly. */
async function portsNeeded(settings: Settings): Promise<ReturnType<typeof portsOf>> {
  const { cloudEngines } = await import('./engines.ts');
  const { findEngine } = await import('../../engine/process.ts');
  const running = cloudEngines(settings).filter((engine) => findEngine(engine) !== undefined);
  return portsOf(settings).filter(({ process }) => running.every((engine) => engine.name !== process));
}

/** The unprivileged processes must be able to come to their directories. */
async function checkReach(settings: Settings): Promise<void> {
  const { tryRun } = await import('../run.ts');
  const { serviceUser } = await import('../install/users.ts');
  const { userIds } = await import('../../engine/process.ts');
  const reach = await tryRun('test', ['-x', settings.paths.cache], { ...userIds(serviceUser), cwd: '/' });
  if (reach.code === 0) return;
  throw new CommandError(
    `the user '${serviceUser}' cannot come to ${settings.paths.data}: a directory above it is closed to others`,
    'name another directory with --data (the default is /var/lib/bothy), or chmod o+x the directories above',
  );
}

/** The command line of the supervisor, under the cloud's lock. Exit code 75: somebody else has it. */
export function supervisorCommand(settings: Settings, options: { foreground: boolean }): string[] {
  const { supervisorLock } = cloudLayout(settings.paths);
  const supervisor = ['supervise', '--data', settings.paths.data, ...(options.foreground ? ['--foreground'] : [])];
  const script = 'exec 9>>"$1" && flock -n 9 || exit 75; shift; exec "$@"';
  return [
    '/bin/sh',
    '-c',
    script,
    'bothy',
    supervisorLock,
    process.execPath,
    ...nodeFlags,
    `${sourceRoot}/cli/main.ts`,
    ...supervisor,
  ];
}

/**
 * Puts the supervisor's compiled code into the cache, which this process shares with it: with a warm cache it never loads
 * the type stripper, which would cost it 30 MiB for life.
 */
export async function warmSupervisor(): Promise<void> {
  await import('../commands/supervise.ts');
  flushCompileCache();
}

/** Starts the supervisor in the background, up to its first answer. Answers false where it ran already. */
async function startSupervisor(settings: Settings): Promise<boolean> {
  if ((await supervisorPid(settings)) !== undefined) return false;
  const layout = cloudLayout(settings.paths);
  await warmSupervisor();
  const { spawn } = await import('node:child_process');
  mkdirSync(settings.paths.log, { recursive: true });
  const log = openSync(layout.supervisorLog, 'a', 0o640);
  const [command, ...args] = supervisorCommand(settings, { foreground: false });
  const child = spawn(command!, args, { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  const died = new AbortController();
  child.once('exit', (code) => {
    // 75: another start was faster and is about to listen.
    if (code !== 75) died.abort(supervisorDied(layout.supervisorLog));
  });
  const answers = async () => (await supervisorPid(settings)) !== undefined;
  await waitUntil('an answer of the supervisor', answers, { timeoutMs: 15_000, signal: died.signal });
  child.unref();
  return true;
}

/** From a machine in whatever state to a cloud that serves. `ran` where its supervisor was there already. */
export async function bringUp(...given: Parameters<typeof begin>): ReturnType<typeof begin> {
  const result = await begin(...given);
  await untilReady(given[0]);
  return result;
}

/** The first half of {@link bringUp}: the machine has what it needs, and the processes are being started. */
export async function begin(
  settings: Settings,
  packages: PackageSet,
  options: { newDatabase?: boolean } = {},
): Promise<PreparedCloud & { ran: boolean }> {
  requireRoot('starting a cloud');
  return underMachineLock(async () => {
    const prepared = await makeReady(settings, packages, options);
    return { ...prepared, ran: !(await startSupervisor(settings)) };
  });
}

export async function untilReady(settings: Settings): Promise<void> {
  await step('starting the cloud', (progress) => waitUntilReady(settings, progress));
}

function supervisorDied(logFile: string): Error {
  return new CommandError(
    `the supervisor ended at once:\n  ${lastLines(logFile, 8).join('\n  ')}`,
    'mend what it names and run the command again',
  );
}

async function waitUntilReady(settings: Settings, progress: Progress): Promise<void> {
  const { supervisorSocket } = cloudLayout(settings.paths);
  const enough = new AbortController();
  const deadline = setTimeout(() => enough.abort(), startDeadlineMs);
  const look = ({ engines }: Answer) => {
    const waiting = engines.filter((engine) => engine.state !== 'ready');
    const names = waiting.length === 0 ? '' : `; waiting for ${waiting.map(describe).join(', ')}`;
    progress.detail(`${engines.length - waiting.length} of ${engines.length} ready${names}`);
    if (waiting.some(isHopeless)) enough.abort();
  };
  const last = await ask(supervisorSocket, { command: 'watch' }, look, enough.signal);
  clearTimeout(deadline);
  const waiting = last?.engines.filter((engine) => engine.state !== 'ready') ?? [];
  if (last !== undefined && waiting.length === 0) return waitUntilHealthy(settings, progress);
  if (!enough.signal.aborted) {
    throw new CommandError('the supervisor was stopped while the cloud was starting', "run 'bothy up' again");
  }
  await reportFailure(settings, waiting);
}

/** Processes that run are not yet a cloud: the host must have found control, the projection its database. */
async function waitUntilHealthy(settings: Settings, progress: Progress): Promise<void> {
  const { getFromSocket } = await import('../process/health.ts');
  if (readIdentity(settings.paths)?.joined) return waitUntilServing(settings, progress);
  const { controlHealthSocket, hostSocket } = cloudLayout(settings.paths);
  let unwell: HealthPart[] = [];
  let undecided: HealthPart[] = [];
  const healthy = async () => {
    const { parts } = (await getFromSocket(controlHealthSocket, '/v1/health')) as Health;
    unwell = parts.filter((part) => !part.ok && !part.forPeople);
    undecided = parts.filter((part) => !part.ok && part.forPeople);
    const { network } = (await getFromSocket(hostSocket, '/v1/health')) as HostHealth;
    if (!network.started) unwell.push({ name: 'host', ok: false, detail: networkMissing(network), cure: hostCure });
    progress.detail(unwell.map((part) => `${part.name}: ${part.detail}`).join(', '));
    return unwell.length === 0;
  };
  try {
    await waitUntil('control to find all its parts well', healthy, { timeoutMs: healthDeadlineMs, everyMs: 50 });
  } catch (error) {
    const list = unwell.map((part) => `${part.name}: ${part.detail}`).join('\n    ');
    const message = `every process runs, but the cloud does not serve after ${healthDeadlineMs / 1000} s:\n    ${list || (error as Error).message}`;
    throw new CommandError(message, unwell[0]?.cure ?? "see 'bothy logs control' and 'bothy doctor'", { cause: error });
  }
  for (const { name, detail, cure } of undecided) process.stderr.write(`bothy: ${name}: ${detail}\n  → ${cure}\n`);
}

const hostCure = "see 'bothy logs host' and 'bothy doctor'";

const networkMissing = ({ problem }: HostHealth['network']) =>
  `the network of this machine is not started${problem === null ? '' : `: ${problem}`}`;

/** A machine that has joined serves when control has told it what shall be there. */
async function waitUntilServing(settings: Settings, progress: Progress): Promise<void> {
  const { getFromSocket } = await import('../process/health.ts');
  const { hostSocket } = cloudLayout(settings.paths);
  let missing = '';
  const serves = async () => {
    const { control, network, desired } = (await getFromSocket(hostSocket, '/v1/health')) as HostHealth;
    missing = control.state !== 'open' ? `no stream to ${control.url}: ${control.lastError ?? 'being opened'}` : '';
    if (missing === '' && !network.started) missing = networkMissing(network);
    if (missing === '' && !desired.known) missing = 'control has not told what shall be here';
    progress.detail(missing);
    return missing === '';
  };
  try {
    await waitUntil('the host to find control', serves, { timeoutMs: healthDeadlineMs, everyMs: 50 });
  } catch (error) {
    const message = `every process runs, but the host does not serve after ${healthDeadlineMs / 1000} s: ${missing || (error as Error).message}`;
    throw new CommandError(message, hostCure, { cause: error });
  }
}

const isHopeless = (engine: EngineStatus) => engine.failures >= patience && engine.state !== 'ready';

async function reportFailure(settings: Settings, waiting: readonly EngineStatus[]): Promise<never> {
  const culprit = waiting.find(isHopeless) ?? waiting.find((engine) => engine.state !== 'waiting') ?? waiting[0];
  const name = culprit?.name ?? '?';
  const { collectLines } = await import('../logs.ts');
  // Of a stack trace only what it says: the frames are in the log.
  const tail = collectLines(settings.paths.log, name, 60)
    .filter((line) => !/^\s+at |^Node\.js v|^\s*\^*\s*$/.test(line))
    .slice(-8)
    .map((line) => (line.length > 300 ? `${line.slice(0, 300)} …` : line));
  const failed = culprit !== undefined && isHopeless(culprit);
  const reason = failed ? `failed ${culprit.failures} times` : `is not ready after ${startDeadlineMs / 1000} s`;
  const message = `the process '${name}' ${reason}: ${culprit?.lastError ?? 'no error was seen'}`;
  // After a change of settings 'up' alone changes nothing: this supervisor goes by the old ones.
  const again = "'bothy down --keep-guests', then 'bothy up --detach'";
  const otherDatabase = name === 'control' && settings.values.database_url !== '';
  const cure = otherDatabase
    ? `does the database answer, and is database_url right in ${settings.paths.settingsFile} (or DATABASE_URL)? After a change: ${again}`
    : `the supervisor keeps trying; see 'bothy logs ${name}' and 'bothy doctor'. After a change of settings: ${again}`;
  throw new CommandError([message, ...tail].join('\n    '), cure);
}

function describe(engine: EngineStatus): string {
  if (engine.state === 'waiting' || engine.state === 'starting') return engine.name;
  return `${engine.name} (${engine.state}${engine.lastError === null ? '' : `: ${engine.lastError}`})`;
}
