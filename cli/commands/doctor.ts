import { type JoinedCloud, readIdentity } from '../cloud/identity.ts';
import { cloudLayout } from '../cloud/layout.ts';
import { requireCloudNamespace } from '../cloud/namespace.ts';
import { observeCloud } from '../cloud/observe.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import * as cloud from '../doctor/cloud.ts';
import { type Finding, guarded, warning } from '../doctor/finding.ts';
import { checkControlOf, checkTunnels } from '../doctor/joined.ts';
import * as machine from '../doctor/machine-findings.ts';
import { type CloudPaths, changedSettings, dataArgument, loadSettings, type Settings } from '../settings.ts';
import { bold, faint, green, red, say, yellow } from '../terminal.ts';

export const command: Command = {
  summary: 'check machine and cloud',
  usage: '[--json] [--data DIRECTORY]',
  description: `Looks at the machine (system, packages, KVM, kernel, disk, clock, ports) and at the cloud (each process, API, database,
projections, host, certificates), and says for each finding what to do. Changes nothing.

Exit code 0: no problem (there may be warnings); 1: at least one problem.`,
  options: { json: { type: 'boolean', help: 'for programs' }, ...dataOption },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    const findings = await examine(settings);
    if (args.flag('json')) say(JSON.stringify({ findings }, null, 2));
    else show(findings, settings.paths);
    return findings.some((finding) => finding.status === 'problem') ? 1 : 0;
  },
};

async function examine(settings: Settings): Promise<Finding[]> {
  const findings: Finding[] = [];
  const joined = joinedHere(settings);
  if (process.getuid?.() !== 0)
    findings.push(warning('user', 'not root: parts of the cloud are hidden', 'run the command with sudo'));
  findings.push(...machine.checkSystem());
  findings.push(...(await guarded('packages', () => machine.checkPackages(joined ? 'host' : 'cloud', settings))));
  findings.push(...(await guarded('kvm', machine.checkKvm)));
  findings.push(...(await guarded('kernel', machine.checkKernel)));
  findings.push(...(await guarded('disk', () => machine.checkDisk(settings))));
  findings.push(...(await guarded('clock', machine.checkClock)));
  if (joined) findings.push(...(await guarded('control', () => checkControlOf(settings, joined))));
  findings.push(...(await guarded('tunnels', () => checkTunnels(settings, joined))));
  findings.push(...(await guarded('cloud', () => examineCloud(settings))));
  return findings;
}

/** Where the machine has joined a cloud; a damaged file is told by what comes later. */
function joinedHere({ paths }: Settings): JoinedCloud | undefined {
  try {
    return readIdentity(paths)?.joined;
  } catch {
    return undefined;
  }
}

async function examineCloud(settings: Settings): Promise<Finding[]> {
  const state = await observeCloud(settings);
  const findings = await cloud.checkProcesses(state);
  const changed = changedSettings(state.changedSettings, settings.paths);
  if (changed !== undefined) findings.push(warning('settings', changed.message, changed.cure));
  findings.push(...(await guarded('certificates', () => cloud.checkCertificates(settings))));
  if (state.state === 'down') return [...findings, ...(await machine.checkPortsFree(settings))];
  const elsewhere = namespaceFinding(settings);
  if (elsewhere === undefined)
    findings.push(...(await guarded('ports', () => machine.checkPortsHeld(settings, state.processes))));
  else findings.push(elsewhere);
  // What stands still is named above; asking it would only take a while.
  const runs = (name: string) =>
    state.processes.some((item) => item.name === name && item.pid !== null && item.state !== 'halted');
  if (runs('postgres') || (!state.joined && settings.values.database_url !== '')) {
    const { checkDatabase } = await import('../doctor/database.ts');
    findings.push(...(await guarded('database', () => checkDatabase(settings))));
  }
  if (runs('control')) {
    if (elsewhere === undefined) findings.push(...(await guarded('api', () => cloud.checkApi(settings, state))));
    findings.push(
      ...(await guarded('control', () => cloud.checkControl(cloudLayout(settings.paths).controlHealthSocket))),
    );
  }
  if (runs('host'))
    findings.push(...(await guarded('host', () => cloud.checkHost(cloudLayout(settings.paths).hostSocket))));
  return findings;
}

/** Ports and the API can be looked at only from where the cloud lives. */
function namespaceFinding(settings: Settings): Finding | undefined {
  try {
    requireCloudNamespace(settings);
    return undefined;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return warning('network namespace', `${error.message}: ports and API were not looked at`, error.cure);
  }
}

const widest = 24;
const signs = { ok: green('✓'), warning: yellow('!'), problem: red('✗') };

function show(findings: readonly Finding[], paths: CloudPaths): void {
  // One long name (of a network's resolver) shall not push everything else out of a terminal of 80 columns.
  const width = Math.min(widest, Math.max(...findings.map((finding) => finding.check.length)));
  for (const { check, status, detail, cure } of findings) {
    say(`${signs[status]} ${check.padEnd(width)}  ${detail}`);
    if (cure !== '') say(`${' '.repeat(width + 4)}${faint(`→ ${cure}`)}`);
  }
  const count = (status: Finding['status']) => findings.filter((finding) => finding.status === status).length;
  const counted = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`;
  const verdict = `${counted(count('problem'), 'problem')}, ${counted(count('warning'), 'warning')}, ${counted(count('ok'), 'check')} without a finding`;
  say(`\n${bold(verdict)}`);
  if (dataArgument(paths) !== '') say(faint(`'bothy …' above means: sudo ./bothy …${dataArgument(paths)}`));
}
