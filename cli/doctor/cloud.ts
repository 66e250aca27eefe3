/** The running cloud, asked at each of its doors: supervisor, API, control's and host's own accounts, certificates. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostFacts } from '../../contract/host.ts';
import { cloudLayout } from '../cloud/layout.ts';
import type { CloudState, ProcessState } from '../cloud/observe.ts';
import { HttpClient } from '../demo/http.ts';
import { getFromSocket } from '../process/health.ts';
import type { Settings } from '../settings.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

export async function checkProcesses(state: CloudState): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (state.state === 'down') return [warning('cloud', 'is down', 'sudo bothy up --detach')];
  if (state.state === 'kept') {
    return [warning('cloud', 'is down; guests and their network go on', 'sudo bothy up --detach')];
  }
  if (state.state === 'unsupervised') {
    findings.push(
      problem(
        'supervisor',
        'is gone: nothing is restarted when it dies',
        'sudo bothy up --detach (takes the processes over)',
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
      findings.push(
        problem(check, `${item.state}: ${item.lastError ?? 'no error was seen'}`, `bothy logs ${item.name}`),
      );
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

export async function checkHost(hostSocket: string): Promise<Finding[]> {
  const health = (await getFromSocket(hostSocket, '/v1/health')) as { facts?: HostFacts } & Partial<HostFacts> &
    Record<string, unknown>;
  const facts = { ...health, ...health.facts };
  const findings: Finding[] = [];
  if (facts.accelerator === 'kvm') findings.push(ok('host accelerator', 'KVM: a probe guest booted under it'));
  else if (facts.accelerator === 'tcg') {
    findings.push(
      warning(
        'host accelerator',
        `emulation (TCG): ${facts.acceleratorReason}`,
        'guests are slow but right; see kvm above',
      ),
    );
  }
  if (facts.datapath !== undefined)
    findings.push(ok('host datapath', facts.datapath === 'system' ? "the kernel's" : 'user space'));
  return [...findings, ...accounts('host', health)];
}

export async function checkControl(controlHealthSocket: string): Promise<Finding[]> {
  const health = (await getFromSocket(controlHealthSocket, '/v1/health')) as Record<string, unknown>;
  return accounts('control', health);
}

/**
 * What a process says of its own parts: `parts: [{ name, ok, detail, cure? }]`. Projections, queues and connections are
 * such parts.
 */
function accounts(process: string, health: Record<string, unknown>): Finding[] {
  const parts = (health.parts ?? []) as { name: string; ok: boolean; detail: string; cure?: string }[];
  return parts.map((part) => {
    const check = `${process} ${part.name}`;
    return part.ok ? ok(check, part.detail) : problem(check, part.detail, part.cure ?? `bothy logs ${process}`);
  });
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
    const cure = 'restart the cloud: bothy down --keep-guests, then bothy up (each start renews what is due)';
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
