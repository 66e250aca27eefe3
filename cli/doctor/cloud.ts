/** The running cloud, asked at each of its doors: supervisor, API, control's and host's own accounts, certificates. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../host/index.ts';
import { HttpClient } from '../cloud/http.ts';
import { cloudLayout } from '../cloud/layout.ts';
import type { CloudState, ProcessState } from '../cloud/observe.ts';
import { bothyVersion } from '../cloud/version.ts';
import { type ClockReading, getFromSocket, type Health } from '../process/health.ts';
import type { Settings } from '../settings.ts';
import { type Finding, ok, problem, warning } from './finding.ts';
import { checkStorage } from './storage.ts';
import { checkTunnelPaths } from './tunnels.ts';

export async function checkProcesses(state: CloudState): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (state.state === 'down') return [warning('cloud', 'is down', 'sudo ./bothy up --detach')];
  if (state.state === 'kept') {
    return [
      warning(
        'cloud',
        'is down; guests and their network go on, but for guests that end or stand still without a lease',
        'sudo ./bothy up --detach',
      ),
    ];
  }
  if (state.state === 'unsupervised') {
    findings.push(
      problem(
        'supervisor',
        'is gone: nothing is restarted when it dies',
        'sudo ./bothy up --detach (takes the processes over)',
      ),
    );
  }
  for (const item of state.processes) {
    const facts = `pid ${item.pid}, up ${Math.floor(item.uptimeSeconds)} s, ${item.memoryMiB.toFixed(0)} MiB${item.processes > 1 ? ` in ${item.processes} processes` : ''}`;
    const check = `process ${item.name}`;
    if (item.state === 'halted') {
      findings.push(
        problem(
          check,
          `pid ${item.pid} stands still: a signal or a debugger stopped it`,
          `sudo kill -CONT ${item.pid}`,
        ),
      );
    } else if (item.pid === null || !['ready', 'running'].includes(item.state)) {
      const why = item.lastError === null ? 'no error was seen' : `it ended before: ${item.lastError}`;
      findings.push(problem(check, `${item.state}; ${why}`, `it is started again by itself; bothy logs ${item.name}`));
    } else if (item.restarts > 3) {
      findings.push(
        warning(check, `${facts}; ${item.restarts} restarts, last: ${item.lastError}`, `bothy logs ${item.name}`),
      );
    } else findings.push(ok(check, facts));
  }
  return [...findings, memoryOf(state)];
}

const nodeProcesses = ['supervisor', 'control', 'host'];

function memoryOf({ processes }: CloudState): Finding {
  const sum = (of: (item: ProcessState) => number, among = processes) =>
    among.reduce((total, item) => total + of(item), 0).toFixed(0);
  const resident = (item: ProcessState) => item.residentMiB;
  const node = processes.filter((item) => nodeProcesses.includes(item.name));
  const total = `${sum((item) => item.memoryMiB)} MiB in ${sum((item) => item.processes)} processes, guests apart`;
  return ok(
    'memory of the cloud',
    `${total}; Bothy's own processes ${sum(resident, node)} MiB; ${sum(resident)} MiB with shared pages counted in each process`,
  );
}

export async function checkApi(settings: Settings, state: CloudState): Promise<Finding[]> {
  const url = `${state.publicUrl}/identity/v3`;
  const http = new HttpClient(join(settings.paths.data, 'ca.pem'));
  try {
    const started = performance.now();
    const answer = await http.request(url, { timeoutMs: 5_000 });
    const ms = (performance.now() - started).toFixed(0);
    if (answer.status === 200) return [ok('api', `${url} answers in ${ms} ms`)];
    return [problem('api', `${url} answers ${answer.status}`, 'bothy logs control')];
  } catch (error) {
    return [
      problem(
        'api',
        `${url}: ${(error as Error).message}`,
        "bothy logs control; is 'public_url' right, and is no firewall between?",
      ),
    ];
  } finally {
    http.close();
  }
}

type HostHealth = ReturnType<Host['status']>;

export async function checkHost(hostSocket: string): Promise<Finding[]> {
  const health = (await getFromSocket(hostSocket, '/v1/health')) as HostHealth;
  const { facts } = health;
  const findings: Finding[] = [];
  if (facts.accelerator === 'kvm') findings.push(ok('host accelerator', 'KVM: a probe guest booted under it'));
  else {
    findings.push(
      warning(
        'host accelerator',
        `guests run emulated (TCG), ten to thirty times slower: ${facts.acceleratorReason}`,
        'in a virtual machine, allow nested virtualisation; then down and up, which probes again',
      ),
    );
  }
  findings.push(ok('host datapath', facts.datapath === 'system' ? "the kernel's" : 'user space'));
  const [runs, here] = [facts.bothyVersion, bothyVersion()];
  if (runs !== here) {
    const cure = 'bothy down --keep-guests, then bothy up';
    findings.push(warning('host version', `the host process is Bothy ${runs}, the files here are ${here}`, cure));
  }
  const states = [checkStream(health.control), checkLease(health.lease), checkReconciliation(health)];
  const tunnels = checkTunnelPaths(health.network.tunnels, facts.tunnels?.mtu);
  return [...findings, ...states, ...tunnels, ...checkStorage(health)];
}

const hostLog = 'see: bothy logs host';

function checkStream({ state, url, lastError }: HostHealth['control']): Finding {
  if (state === 'open') return ok('host stream', `open to ${url}`);
  return problem('host stream', `${state}, not open to ${url}: ${lastError ?? 'no error was seen'}`, hostLog);
}

/** See host/lease/README.md. */
function checkLease({ state, leaseMs }: HostHealth['lease']): Finding {
  const check = 'host lease';
  if (state === 'held') return ok(check, `control lends the servers for ${leaseMs / 1000} s at a time`);
  if (state === 'none') return warning(check, 'control has lent this host process nothing yet', 'see the stream above');
  const detail = `control has lent nothing for more than ${leaseMs / 1000} s: guests run on, nothing is started or rebooted`;
  return problem(check, detail, 'see: bothy logs control');
}

type Reconciliation = Pick<HostHealth, 'desired' | 'network' | 'servers' | 'guests' | 'lastSweep' | 'observed'>;

/** The host's projection of what shall be onto QEMU, Open vSwitch and disks. */
export function checkReconciliation({
  desired,
  network,
  servers,
  guests,
  lastSweep,
  observed,
}: Reconciliation): Finding {
  const check = 'host reconciliation';
  if (!network.started) {
    const why = network.problem === null ? '' : `: ${network.problem}`;
    return problem(check, `the network could not be started, it tries again${why}`, hostLog);
  }
  if (!desired.known) return problem(check, 'control has never told what shall be here', 'see the stream above');
  if (lastSweep?.error) return problem(check, `the last pass failed: ${lastSweep.error}`, hostLog);
  const failed = observed.filter(({ state }) => state === 'failed');
  // A guest that waits for its disk is none that has failed, and yet nobody can log in to it.
  const waiting = observed.filter(({ state, error }) => state !== 'failed' && error !== null);
  const detail = `${servers} ${servers === 1 ? 'server' : 'servers'}, ${guests} running`;
  const named = (some: typeof observed) =>
    some
      .slice(0, 3)
      .map(({ id, error }) => `${id}: ${error?.message ?? 'no reason was told'}`)
      .join('; ');
  const told = [
    ...(failed.length > 0 ? [`${failed.length} failed: ${named(failed)}`] : []),
    ...(waiting.length > 0 ? [`${waiting.length} tried again: ${named(waiting)}`] : []),
  ];
  if (told.length === 0) return ok(check, detail);
  const cure = `mend what is named: what is tried again then goes on by itself, what failed is told to its owner (openstack server show); ${hostLog}`;
  return warning(check, [detail, ...told].join('; '), cure);
}

export async function checkControl(controlHealthSocket: string): Promise<Finding[]> {
  const { parts, clocks } = (await getFromSocket(controlHealthSocket, '/v1/health')) as Health;
  const findings = parts.map(({ name, ok: isWell, detail, cure }) => {
    const check = `control ${name}`;
    return isWell ? ok(check, detail) : problem(check, detail, cure ?? 'bothy logs control');
  });
  return [...findings, ...checkClocks(clocks)];
}

const warningMs = 1000;
const problemMs = 5000;

/** Tokens, leases and deadlines are told in one machine's time and judged in another's. */
export function checkClocks(clocks: readonly ClockReading[]): Finding[] {
  const size = ({ offsetMs }: ClockReading) => Math.abs(offsetMs);
  const wrong = clocks.filter((clock) => size(clock) > warningMs);
  const right = clocks.filter((clock) => !wrong.includes(clock));
  const names = right.length > 4 ? `${right.length} clocks` : right.map((clock) => clock.of).join(', ');
  const within = Math.max(0, ...right.map(size));
  return [
    ...(right.length === 0 ? [] : [ok('clocks', `${names}: within ${within} ms of this machine's`)]),
    ...wrong.map((clock) => {
      const detail = `${(size(clock) / 1000).toFixed(1)} s ${clock.offsetMs > 0 ? 'ahead of' : 'behind'} this machine's`;
      const cure = 'on both machines: apt-get install chrony, then chronyc makestep';
      return (size(clock) > problemMs ? problem : warning)(`clock of ${clock.of}`, detail, cure);
    }),
  ];
}

export function checkCertificates(settings: Settings): Finding[] {
  const { certificates } = cloudLayout(settings.paths);
  if (!existsSync(certificates)) return [];
  const files = readdirSync(certificates).filter((name) => name.endsWith('.pem'));
  return files.map((name) => {
    const certificate = new X509Certificate(readFileSync(join(certificates, name)));
    const days = (Date.parse(certificate.validTo) - Date.now()) / 86_400_000;
    const check = `certificate ${name.replace('.pem', '')}`;
    const detail = `good until ${new Date(certificate.validTo).toISOString().slice(0, 10)} (${days.toFixed(0)} days)`;
    const cure =
      'the supervisor renews it when a third of its life is left; see: bothy logs supervisor, and try: sudo ./bothy renew';
    if (Date.now() < Date.parse(certificate.validFrom))
      return problem(
        check,
        `is not valid before ${certificate.validFrom}`,
        'the clock of this machine is behind: set it',
      );
    if (days < 0) return problem(check, detail, cure);
    return days < 30 ? warning(check, detail, cure) : ok(check, detail);
  });
}
