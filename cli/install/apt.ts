/**
 * Installs what is missing of a list of Debian packages, in one run of apt-get, so that no service of theirs is started
 * or enabled: Bothy runs the daemons itself, in its own directories.
 *
 * Started is prevented by Debian's own switch, /usr/sbin/policy-rc.d, which says no only to package scripts that carry
 * our variable in their environment; everybody else gets the answer that they got before. Enabled is undone afterwards,
 * from a journal that names the packages: a run that was cut short is finished by the next. If the process dies on any
 * line, the machine's policy is as before for everyone else, and a later run puts the files back.
 */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { readText, writeWhole } from '../../control/kit/files.ts';
import { CommandError } from '../command.ts';
import { run, tryRun } from '../run.ts';
import type { Progress } from '../terminal.ts';
import type { NeededPackage } from './packages.ts';

const policyFile = '/usr/sbin/policy-rc.d';
const savedPolicyFile = '/usr/sbin/policy-rc.d.before-bothy';
const policyMark = '# made by bothy; goes away by itself';
/** Keeps Debian from making a database cluster of its own with the package. */
const clusterFile = '/etc/postgresql-common/createcluster.d/bothy.conf';
const journalFile = '/var/lib/misc/bothy-install.json';
const neededMiB = 1_500;

export interface AptPaths {
  policyFile: string;
  savedPolicyFile: string;
}

/** The packages of the list that are not installed. Reads dpkg's database once (some tens of milliseconds). */
export async function missingPackages(packages: readonly NeededPackage[]): Promise<NeededPackage[]> {
  const status = await tryRun('dpkg-query', [
    '-W',
    '-f',
    `\${db:Status-Status} \${Package}\n`,
    ...packages.map((p) => p.name),
  ]);
  const installed = new Set(
    status.stdout
      .split('\n')
      .filter((line) => line.startsWith('installed '))
      .map((line) => line.slice('installed '.length)),
  );
  return packages.filter(({ name }) => !installed.has(name));
}

/** True if an earlier run was cut short after it began to change the machine. */
export const installationInterrupted = (): boolean => existsSync(journalFile);

export async function installPackages(packages: readonly NeededPackage[], progress: Progress): Promise<void> {
  refuseImpossible();
  if (installationInterrupted()) {
    progress.detail('finishing an interrupted installation');
    await run('dpkg', ['--configure', '-a', '--force-confold'], { env: quietEnvironment });
  }
  // From here on the journal says whose services must not stay enabled.
  const before = enabledServices();
  const journal = readText(journalFile);
  const known = journal === undefined ? before : (JSON.parse(journal) as { enabledBefore: string[] }).enabledBefore;
  mkdirSync('/var/lib/misc', { recursive: true });
  writeWhole(journalFile, JSON.stringify({ enabledBefore: known }), { mode: 0o644 });
  denyServiceStarts({ policyFile, savedPolicyFile });
  mkdirSync('/etc/postgresql-common/createcluster.d', { recursive: true });
  writeFileSync(clusterFile, '# made by bothy during an installation\ncreate_main_cluster = false\n');
  try {
    await aptGet(packages, progress);
    await disableNewServices(known, progress);
  } finally {
    rmSync(clusterFile, { force: true });
    allowServiceStarts({ policyFile, savedPolicyFile });
  }
  rmSync(journalFile, { force: true });
}

const quietEnvironment = {
  DEBIAN_FRONTEND: 'noninteractive',
  DEBCONF_NONINTERACTIVE_SEEN: 'true',
  // needrestart and its like ask questions and restart services otherwise.
  NEEDRESTART_SUSPEND: '1',
  APT_LISTCHANGES_FRONTEND: 'none',
  BOTHY_INSTALLING: '1',
};

function refuseImpossible(): void {
  if (process.getuid?.() !== 0) throw new CommandError('only root may install packages', 'run the command with sudo');
  if (!existsSync('/usr/bin/apt-get')) {
    throw new CommandError(
      'this machine has no apt-get',
      'Bothy runs on Debian 12; elsewhere, install the packages of cli/install/packages.ts by hand',
    );
  }
  const { bavail, bsize } = statfsSync('/usr');
  const freeMiB = Math.floor((bavail * bsize) / 1024 / 1024);
  if (freeMiB < neededMiB) {
    throw new CommandError(
      `/usr has only ${freeMiB} MiB free; the packages need about ${neededMiB} MiB`,
      'make room and run the command again',
    );
  }
}

async function aptGet(packages: readonly NeededPackage[], progress: Progress): Promise<void> {
  const names = packages.map((p) => p.name);
  const options = [
    '-y',
    '--no-install-recommends',
    '-o',
    'Dpkg::Options::=--force-confold',
    '-o',
    'Dpkg::Options::=--force-confdef',
  ];
  // Waits for a dpkg that somebody else runs (unattended-upgrades at boot) instead of failing at once.
  const patience = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=2'];
  const install = ['install', ...options, ...patience, '-o', 'APT::Status-Fd=3', ...names];
  if (!packageListsPresent()) await update(patience, progress);
  let result = await apt(install, progress);
  if (
    result.code !== 0 &&
    /404\s+Not Found|Unable to locate package|has no installation candidate|Failed to fetch/.test(result.output)
  ) {
    // The lists are older than the mirror.
    await update(patience, progress);
    result = await apt(install, progress);
  }
  if (result.code !== 0) throw explain(result.output, `apt-get install ${names.join(' ')}`);
}

async function update(patience: string[], progress: Progress): Promise<void> {
  progress.detail('apt-get update');
  const result = await apt(
    ['update', ...patience, '-o', 'APT::Status-Fd=3', '-o', 'APT::Update::Error-Mode=any'],
    progress,
  );
  // One dead foreign repository must not stop us; whether the packages can be had is seen at the installation.
  if (result.code !== 0 && !packageListsPresent()) throw explain(result.output, 'apt-get update');
}

function packageListsPresent(): boolean {
  try {
    return readdirSync('/var/lib/apt/lists').some((name) => /_Packages(\.|$)/.test(name));
  } catch {
    return false;
  }
}

/** Runs apt-get; its machine-readable status (descriptor 3) becomes progress. */
function apt(args: string[], progress: Progress): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('apt-get', args, {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...quietEnvironment, LC_ALL: 'C.UTF-8' },
    });
    let output = '';
    const keep = (text: Buffer) => {
      output = (output + text.toString('utf8')).slice(-200_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    let pending = '';
    child.stdio[3]?.on('data', (text: Buffer) => {
      const lines = (pending + text.toString('utf8')).split('\n');
      pending = lines.pop() ?? '';
      for (const line of lines) {
        // dlstatus:1:20.5:Retrieving file 3 of 40 (12s remaining)   pmstatus:haproxy:55.2:Unpacking haproxy (amd64)
        const [kind, , percent, ...text] = line.split(':');
        const verb = kind === 'dlstatus' ? 'download' : 'unpack';
        if (percent !== undefined) progress.detail(`${verb} ${Math.round(Number(percent))} %: ${text.join(':')}`);
      }
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, output }));
  });
}

function explain(output: string, what: string): CommandError {
  const said = output
    .split('\n')
    .filter((line) => /^(E:|Err:|W:.*(Failed|Could not)|dpkg: error)/.test(line))
    .slice(-6)
    .join('\n  ');
  const message = `${what.length > 80 ? `${what.slice(0, 77)}...` : what} failed:\n  ${said || output.trim().split('\n').slice(-6).join('\n  ')}`;
  if (/Could not get lock|is held by process/.test(output)) {
    return new CommandError(
      message,
      'another package manager is at work; wait for it to end and run the command again',
    );
  }
  if (
    /Could not resolve|Temporary failure resolving|Could not connect|Connection (failed|timed out|refused)|Network is unreachable|Failed to fetch/.test(
      output,
    )
  ) {
    return new CommandError(
      message,
      'the package mirror cannot be reached: check network, DNS and /etc/apt/sources.list, then run the command again',
    );
  }
  if (/No space left|not enough free space/.test(output))
    return new CommandError(message, 'make room on the disk and run the command again');
  if (/Unable to locate package|no installation candidate/.test(output)) {
    return new CommandError(message, "Bothy expects Debian 12 with its 'main' component in /etc/apt/sources.list");
  }
  return new CommandError(message, 'mend what apt-get names (often: apt-get -f install) and run the command again');
}

/** Says no to our own package scripts; everybody else is asked as before. Keeps what stood there. */
export function denyServiceStarts(paths: AptPaths): void {
  const present = readText(paths.policyFile);
  if (present !== undefined && !present.includes(policyMark)) renameSync(paths.policyFile, paths.savedPolicyFile);
  const script = `#!/bin/sh
${policyMark}
if [ -n "\${BOTHY_INSTALLING:-}" ]; then exit 101; fi
if [ -x ${paths.savedPolicyFile} ]; then exec ${paths.savedPolicyFile} "$@"; fi
exit 0
`;
  writeWhole(paths.policyFile, script, { mode: 0o755 });
  chmodSync(paths.policyFile, 0o755);
}

/** Puts back what denyServiceStarts found; does nothing where it has been put back already. */
export function allowServiceStarts(paths: AptPaths): void {
  if (readText(paths.policyFile)?.includes(policyMark) !== true) return;
  if (existsSync(paths.savedPolicyFile)) renameSync(paths.savedPolicyFile, paths.policyFile);
  else rmSync(paths.policyFile, { force: true });
}

/** Links that make services start at boot: systemd's wants and SysV's start links. */
function enabledServices(): string[] {
  const systemd = listing('/etc/systemd/system').flatMap((entry) =>
    entry.endsWith('.wants')
      ? listing(`/etc/systemd/system/${entry}`).filter((unit) => /\.(service|socket|timer)$/.test(unit))
      : [],
  );
  const sysv = listing('/etc/rc2.d')
    .filter((name) => name.startsWith('S'))
    .map((name) => name.slice(3));
  return [...new Set([...systemd, ...sysv])];
}

function listing(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Packages' scripts enable their services; those that were not there before are disabled again. */
async function disableNewServices(before: readonly string[], progress: Progress): Promise<void> {
  const added = enabledServices().filter((name) => !before.includes(name));
  for (const name of added) {
    progress.detail(`not starting ${name} at boot`);
    if (/\.(service|socket|timer)$/.test(name)) await tryRun('deb-systemd-helper', ['disable', name]);
    else await tryRun('update-rc.d', [name, 'disable']);
    if (/\.(service|socket|timer)$/.test(name)) removeWants(name);
  }
}

function removeWants(unit: string): void {
  for (const entry of listing('/etc/systemd/system').filter((name) => name.endsWith('.wants'))) {
    rmSync(`/etc/systemd/system/${entry}/${unit}`, { force: true });
  }
}

/** Undoes what a killed run left in the policy; called where nothing has to be installed. */
export function mendInterrupted(): void {
  if (existsSync(policyFile) && readFileSync(policyFile, 'utf8').includes(policyMark)) {
    allowServiceStarts({ policyFile, savedPolicyFile });
  }
  rmSync(clusterFile, { force: true });
}
