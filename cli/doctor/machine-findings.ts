/** Findings about the machine under the cloud. Nothing here changes anything or needs a running cloud. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { ProcessState } from '../cloud/observe.ts';
import { packagesBySettings } from '../cloud/packages.ts';
import { freeSpaceMiB, holderOf, kernelHas, listenProblem, portsOf } from '../cloud/preflight.ts';
import { bothyVersion } from '../cloud/version.ts';
import { missingPackages } from '../install/apt.ts';
import { packageSets } from '../install/packages.ts';
import { missingUsers } from '../install/users.ts';
import { tryRun } from '../run.ts';
import type { Settings } from '../settings.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

export function checkSystem(): Finding[] {
  const facts = `${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(1)} GiB memory, Linux ${release()}`;
  const text = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? 'an unknown system';
  const debian12 = /^ID=debian$/m.test(text) && Number(/^VERSION_ID="?(\d+)/m.exec(text)?.[1]) >= 12;
  const memory = totalmem() / 2 ** 20;
  return [
    ok('versions', `Bothy ${bothyVersion()}, Node.js ${process.versions.node}`),
    debian12
      ? ok('system', `${name}; ${facts}`)
      : warning('system', `${name}; ${facts}`, 'Bothy is tested on Debian 12; elsewhere it may work'),
    ...(memory < 1500
      ? [warning('memory', `${memory.toFixed(0)} MiB leave little for guests`, 'give the machine 2 GiB or more')]
      : []),
  ];
}

/** @param set those that each such machine needs */
export async function checkPackages(set: 'cloud' | 'host', settings: Settings): Promise<Finding[]> {
  const missing = await missingPackages([...packageSets[set], ...packagesBySettings(settings)]);
  if (missing.length > 0) {
    const list = missing.map(({ name, why }) => `${name} (${why})`).join(', ');
    return [
      problem(
        'packages',
        `missing: ${list}`,
        'sudo ./bothy up (installs them), or apt-get install --no-install-recommends',
      ),
    ];
  }
  const format = `\${Package} \${Version}\n`;
  const central = set === 'cloud' ? ['ovn-central', 'postgresql'] : ['ovn-host'];
  const shown = ['qemu-system-x86', 'openvswitch-switch', ...central, 'haproxy'];
  const versions = await tryRun('dpkg-query', ['-W', '-f', format, ...shown]);
  const users = missingUsers();
  return [
    ok('packages', versions.stdout.trim().split('\n').join(', ')),
    ...(users.length > 0 ? [problem('users', `missing: ${users.join(', ')}`, 'sudo ./bothy up (makes them)')] : []),
  ];
}

/** Whether KVM really works is known by the host process, which boots a probe guest; here only what is visible outside. */
export function checkKvm(): Finding[] {
  if (!existsSync('/dev/kvm')) {
    const flags = readFileSync('/proc/cpuinfo', 'utf8');
    const cure = /\b(vmx|svm)\b/.test(flags)
      ? 'modprobe kvm_intel (or kvm_amd)'
      : 'switch on virtualisation in the firmware; in a virtual machine, allow nested virtualisation';
    return [warning('kvm', 'there is no /dev/kvm: guests run emulated, ten to thirty times slower', cure)];
  }
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return [warning('kvm', '/dev/kvm may not be opened', 'run the command with sudo')];
  }
  return [ok('kvm', '/dev/kvm is there; whether guests run under it, the running cloud tells (host accelerator)')];
}

export async function checkKernel(): Promise<Finding[]> {
  const findings: Finding[] = [];
  const wanted: [string, string, string][] = [
    [
      'openvswitch',
      'Open vSwitch runs in user space (netdev): right, but slower',
      'a kernel with the module openvswitch (any stock Debian kernel)',
    ],
    ['geneve', 'tunnels between hosts run in user space', 'a kernel with the module geneve'],
    ['vhost_net', "guests' network packets take a detour through QEMU", 'a kernel with the module vhost_net'],
  ];
  for (const [module, effect, cure] of wanted) {
    findings.push(
      (await kernelHas(module))
        ? ok(`kernel ${module}`, 'there')
        : warning(`kernel ${module}`, `missing: ${effect}`, cure),
    );
  }
  if (!existsSync('/dev/net/tun'))
    findings.push(problem('kernel tun', 'there is no /dev/net/tun: guests get no network', 'modprobe tun'));
  const tables = await tryRun('nft', ['list', 'tables']).catch(() => ({ code: 1, stderr: 'nft is not installed' }));
  findings.push(
    tables.code === 0
      ? ok('kernel nftables', 'there')
      : problem(
          'kernel nftables',
          `nft does not work: ${tables.stderr.trim()}`,
          "run with sudo; if that is not it, a kernel with nf_tables: guests must be kept from the host's addresses",
        ),
  );
  return findings;
}

export function checkDisk({ paths }: Settings): Finding[] {
  const freeMiB = freeSpaceMiB(paths.data);
  const detail = `${(freeMiB / 1024).toFixed(1)} GiB free for ${paths.data}`;
  if (freeMiB < 1024) {
    const cure = `make room: ${paths.cache} may be deleted; then delete images, volumes or servers (with nothing free the database can't even note that)`;
    return [problem('disk', detail, cure)];
  }
  if (freeMiB < 10 * 1024)
    return [warning('disk', detail, 'guests and images soon fill that; a larger disk is in order')];
  return [ok('disk', detail)];
}

export async function checkClock(): Promise<Finding[]> {
  const answer = await tryRun('timedatectl', ['show', '-p', 'NTPSynchronized', '--value']).catch(() => undefined);
  const now = new Date().toISOString();
  if (Date.now() < Date.parse('2025-06-01'))
    return [problem('clock', `says ${now}`, 'set the clock: certificates and tokens depend on it')];
  if (answer?.stdout.trim() === 'yes') return [ok('clock', `${now}, synchronised`)];
  if (answer?.stdout.trim() === 'no') {
    return [
      warning(
        'clock',
        `${now}, not synchronised`,
        'apt-get install chrony: certificates, tokens and other hosts depend on it',
      ),
    ];
  }
  return [ok('clock', `${now} (nobody here can say whether it is synchronised)`)];
}

/** Ports that a start would need; only asked where the cloud is down. */
export async function checkPortsFree(settings: Settings): Promise<Finding[]> {
  const { values } = settings;
  const findings: Finding[] = [];
  for (const { setting } of portsOf(settings)) {
    const why = await listenProblem(values.listen, Number(values[setting]));
    findings.push(
      why === undefined
        ? ok(`port ${values[setting]}`, 'free')
        : problem(
            `port ${values[setting]}`,
            `cannot be listened on: ${why}`,
            `stop who has it (ss -ltnp), or set '${setting}' in bothy.conf`,
          ),
    );
  }
  return findings;
}

/** The ports of a cloud that runs; whoever else listens there answers in its place. */
export async function checkPortsHeld(settings: Settings, processes: readonly ProcessState[]): Promise<Finding[]> {
  const { values } = settings;
  const findings: Finding[] = [];
  for (const { setting, process } of portsOf(settings)) {
    const pid = processes.find(({ name }) => name === process)?.pid;
    if (pid === null || pid === undefined) continue;
    const check = `port ${values[setting]}`;
    const holder = await holderOf(Number(values[setting]));
    if (holder?.pid === pid) findings.push(ok(check, `held by ${process}`));
    else if (holder === undefined) {
      const why = `${process} does not listen there, or this network namespace is not the cloud's`;
      findings.push(problem(check, why, `bothy logs ${process}`));
    } else {
      const cure = `stop that process, or set '${setting}' in bothy.conf`;
      findings.push(problem(check, `taken by ${holder.name} (pid ${holder.pid})`, cure));
    }
  }
  return findings;
}
