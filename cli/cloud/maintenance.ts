/**
 * Empties hosts from the command line: on the machine of control by the cloud's database, as `bothy token` works; on a machine that has joined, of itself, by its certificate.
 * What shall be is said once and for all; whoever watches may go, and the cloud goes on with it.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { maintenanceDocument } from '../../api/native/maintenance.ts';
import { CloudError } from '../../contract/errors.ts';
import type { HostId } from '../../contract/ids.ts';
import { CommandError } from '../command.ts';
import type { Settings } from '../settings.ts';
import { faint, say, step, table } from '../terminal.ts';
import { askControl, type ControlRequest, refusalOf } from './control-client.ts';
import { databaseUrlOf } from './database-url.ts';
import { hostCredentials } from './host-certificate.ts';
import { readIdentity } from './identity.ts';

export type MaintenanceDocument = ReturnType<typeof maintenanceDocument>;

/** One host's, as whoever runs the command may ask for it. */
export interface HostMaintenance {
  begin(reason: string | null): Promise<void>;
  show(): Promise<MaintenanceDocument | null>;
  end(): Promise<void>;
  /** Of this machine alone: it goes down. @param boot of its kernel */
  beginShutdown(boot: string): Promise<void>;
  /** What its shutdown has asked for is over. @param exceptBoot not of one that this start of the machine has asked for */
  endShutdown(exceptBoot: string | null): Promise<void>;
  close(): Promise<void>;
}

/** @param host its name or its id; undefined: this machine @throws CommandError where another is named on a machine that may speak for itself alone */
export async function maintenanceOf(settings: Settings, host: string | undefined): Promise<HostMaintenance> {
  const identity = readIdentity(settings.paths);
  if (!identity)
    throw new CommandError(`there is no cloud in ${settings.paths.data}`, 'is this the right --data directory?');
  if (!identity.joined) return byDatabase(settings, host ?? identity.hostId, identity.hostId as HostId);
  if (host !== undefined && host !== identity.joined.hostName && host !== identity.hostId)
    throw new CommandError(
      `this machine speaks for itself alone, not for ${host}`,
      'run the command on the machine of control, or leave the name out',
    );
  return ofItself(settings, identity.joined.controlUrl);
}

/** Of the machine that has joined. */
export function ofItself({ paths }: Pick<Settings, 'paths'>, url: string): HostMaintenance {
  const ask = async (method: ControlRequest['method'], body?: object, query = '') => {
    const path = `/native/v1/hosts/self/maintenance${query}`;
    const answer = await askControl({ method, url, path, ...hostCredentials(paths), ...(body && { body }) });
    const refusal = refusalOf(answer);
    if (refusal) {
      const cure = 'see what is said there, then run the command again';
      throw new CommandError(`the cloud refuses it: ${refusal.message}`, cure, { cause: refusal.reason });
    }
    return answer.body?.maintenance ?? null;
  };
  return {
    begin: async () => void (await ask('PUT', { maintenance: { cause: 'administrator' } })),
    show: () => ask('GET'),
    end: async () => void (await ask('DELETE')),
    beginShutdown: async (boot) => void (await ask('PUT', { maintenance: { cause: 'shutdown', boot_id: boot } })),
    endShutdown: async (boot) =>
      void (await ask('DELETE', undefined, `?shutdown_only=true${boot === null ? '' : `&except_boot_id=${boot}`}`)),
    close: async () => {},
  };
}

async function byDatabase(settings: Settings, host: string, own: HostId): Promise<HostMaintenance> {
  const { Secret } = await import('../../contract/secret.ts');
  const { Database } = await import('../../control/kit/database/database.ts');
  const { MaintenanceService } = await import('../../control/compute/maintenance/index.ts');
  const { operator } = await import('../../control/kit/caller.ts');
  const { maintenanceDocument } = await import('../../api/native/maintenance.ts');
  const database = new Database({ url: new Secret(databaseUrlOf(settings)), applicationName: 'bothy drain' });
  const service = new MaintenanceService({ database });
  return {
    begin: async (reason) => void (await known(host, service.begin(operator, host, { reason }))),
    show: async () => {
      const found = await service.show(operator, host);
      return found && maintenanceDocument(found);
    },
    end: () => known(host, service.end(operator, host)),
    beginShutdown: async (boot) => void (await service.beginOwn(own, { cause: 'shutdown', bootId: boot })),
    endShutdown: (exceptBootId) => service.endOwn(own, { shutdownOnly: true, exceptBootId }),
    close: () => database.close(),
  };
}

/** @throws CommandError where there is no such host */
export function known<T>(host: string, work: Promise<T>): Promise<T> {
  return work.catch((error) => {
    if (!(error instanceof CloudError) || error.code !== 'not_found') throw error;
    throw new CommandError(`there is no host ${host}`, 'openstack hypervisor list names them', { cause: error });
  });
}

const everyMs = 1000;

/** Until nothing is left, or nothing of what is left goes by itself. @returns how it ended; null: somebody has ended it meanwhile */
export async function untilDrained(host: HostMaintenance): Promise<MaintenanceDocument | null> {
  return step(
    'moving its servers away',
    async (progress) => {
      // One look that finds nothing to move may come before what moves them has looked.
      for (let blocked = 0; ; await wait(everyMs)) {
        const found = await host.show();
        if (found === null || found.state === 'drained') return found;
        blocked = found.state === 'blocked' ? blocked + 1 : 0;
        if (blocked > 2) return found;
        progress.detail(`${found.left} left, ${found.moved} gone; ${found.servers.flatMap(onItsWay).join(', ')}`);
      }
    },
    (found) => (found === null ? 'ended meanwhile' : `${found.moved} gone, ${found.left} left`),
  );
}

function onItsWay({ name, id, state, progress }: MaintenanceDocument['servers'][number]): string[] {
  if (state !== 'moving') return [];
  const { transferred_bytes: there = 0, total_bytes: all = 0 } = progress ?? {};
  return [all > 0 ? `${name || id} ${Math.floor((100 * there) / all)} %` : name || id];
}

/** What does not go, why, and what would help. */
export function sayWhatIsLeft({ host, servers, left }: MaintenanceDocument): void {
  say(`${left} servers are left on ${host}:`);
  const rows = servers.map(({ name, id, state, why, last_error: last }) => [
    ...[name || id, state, why?.message ?? last ?? '', why?.cure ?? ''],
  ]);
  say(table([['SERVER', 'STATE', 'WHY', 'WHAT HELPS'], ...rows]));
  say(faint('they go by themselves as soon as they can'));
}
