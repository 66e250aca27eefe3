/** What runs of a cloud, whether or not a supervisor can be asked. */

import { existsSync } from 'node:fs';
import { readText } from '../../control/kit/files.ts';
import { findEngine } from '../../engine/process.ts';
import { metadataPaths, proxyEngine } from '../../host/network/metadata-proxy.ts';
import { resolverEngines } from '../../host/network/resolver.ts';
import { CommandError } from '../command.ts';
import type { ControlConfiguration } from '../process/configuration.ts';
import type { Settings } from '../settings.ts';
import { childrenByParent, processFacts, withDescendants } from '../supervisor/process-table.ts';
import type { EngineStatus } from '../supervisor/runner.ts';
import { ask } from '../supervisor/socket.ts';
import { cloudEngines } from './engines.ts';
import { readIdentity } from './identity.ts';
import { cloudLayout } from './layout.ts';

export interface ProcessState {
  name: string;
  /** As the supervisor sees it; halted: stopped by a signal, so it is there but does nothing. */
  state: string;
  pid: number | null;
  uptimeSeconds: number;
  /** Resident memory of the process, or of it and what it started itself (PostgreSQL's backends) with shared pages counted
   * once; guests are not counted. */
  memoryMiB: number;
  /** The same with shared pages counted in every process that has them. */
  residentMiB: number;
  processes: number;
  restarts: number;
  lastError: string | null;
}

export interface CloudState {
  /**
   * up: all serve; starting: the supervisor is at it; unsupervised: processes without a supervisor; kept: down, but guests
   * and their network go on.
   */
  state: 'up' | 'starting' | 'unsupervised' | 'kept' | 'down';
  supervisor: number | null;
  publicUrl: string | null;
  /** This machine is a host of a cloud whose control is at `publicUrl`. */
  joined: boolean;
  processes: ProcessState[];
  /** Settings that bothy.conf says otherwise by now than when the cloud was started. */
  changedSettings: string[];
}

export async function observeCloud(settings: Settings): Promise<CloudState> {
  const layout = cloudLayout(settings.paths);
  const answer = await ask(layout.supervisorSocket, { command: 'status' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EACCES') throw error;
    throw new CommandError('only root may ask the supervisor', 'run the command with sudo');
  });
  const engines: EngineStatus[] =
    answer?.engines ??
    cloudEngines(settings).map((engine) => ({
      name: engine.name,
      state: 'stopped',
      pid: findEngine(engine) ?? null,
      adopted: false,
      restarts: 0,
      failures: 0,
      lastError: null,
    }));
  const children = childrenByParent();
  const processes = engines.map((engine) => observeProcess(engine, children, answer !== undefined));
  processes.push(...observeServed(settings, children, answer !== undefined));
  if (answer !== undefined) processes.unshift(observeSupervisor(answer.pid));
  const state = overallState(settings, answer !== undefined, engines);
  const joined = readIdentity(settings.paths)?.joined;
  const configuration = joined ? undefined : readText(layout.controlConfiguration);
  return {
    state,
    supervisor: answer?.pid ?? null,
    joined: joined !== undefined,
    publicUrl: joined
      ? joined.controlUrl
      : configuration === undefined
        ? null
        : (JSON.parse(configuration) as ControlConfiguration).publicUrl,
    processes,
    changedSettings: answer?.changedSettings ?? [],
  };
}

function overallState(settings: Settings, supervised: boolean, engines: readonly EngineStatus[]): CloudState['state'] {
  if (supervised) return engines.every((engine) => engine.state === 'ready') ? 'up' : 'starting';
  const running = new Set(engines.filter((engine) => engine.pid !== null).map((engine) => engine.name));
  if (running.size === 0) return 'down';
  const ofCloud = cloudEngines(settings).filter((engine) => engine.outlives === 'cloud');
  return ofCloud.some((engine) => running.has(engine.name)) ? 'unsupervised' : 'kept';
}

function observeProcess(engine: EngineStatus, children: Map<number, number[]>, supervised: boolean): ProcessState {
  const facts = engine.pid === null ? undefined : processFacts(engine.pid);
  // The host's children are guests and their helpers: they are the tenants' memory.
  const family =
    engine.pid === null ? [] : engine.name === 'host' ? [engine.pid] : withDescendants(engine.pid, children);
  const memoryMiB = family.length === 1 ? (facts?.rssMiB ?? 0) : family.reduce((sum, pid) => sum + shareOf(pid), 0);
  return {
    name: engine.name,
    state: facts?.halted ? 'halted' : supervised ? engine.state : engine.pid === null ? 'stopped' : 'running',
    pid: facts === undefined ? null : engine.pid,
    uptimeSeconds: facts?.uptimeSeconds ?? 0,
    memoryMiB,
    residentMiB: family.reduce((sum, pid) => sum + (processFacts(pid)?.rssMiB ?? 0), 0),
    processes: family.length,
    restarts: engine.restarts,
    lastError: engine.lastError,
  };
}

/** The host process starts them as soon as a network needs them, which their configurations tell. */
function observeServed({ paths }: Settings, children: Map<number, number[]>, supervised: boolean): ProcessState[] {
  const proxies = existsSync(metadataPaths(paths.run).config) ? [proxyEngine({ runDirectory: paths.run })] : [];
  return [...proxies, ...resolverEngines(paths.run)].map((engine) => {
    const pid = findEngine(engine) ?? null;
    const state = pid === null ? 'stopped' : 'ready';
    const status = {
      name: engine.name,
      state,
      pid,
      adopted: false,
      restarts: 0,
      failures: 0,
      lastError: null,
    } as const;
    return observeProcess(status, children, supervised);
  });
}

function shareOf(pid: number): number {
  const facts = processFacts(pid);
  return facts?.pssMiB ?? facts?.rssMiB ?? 0;
}

function observeSupervisor(pid: number): ProcessState {
  const facts = processFacts(pid);
  return {
    name: 'supervisor',
    state: 'ready',
    pid,
    uptimeSeconds: facts?.uptimeSeconds ?? 0,
    memoryMiB: facts?.rssMiB ?? 0,
    residentMiB: facts?.rssMiB ?? 0,
    processes: 1,
    restarts: 0,
    lastError: null,
  };
}
