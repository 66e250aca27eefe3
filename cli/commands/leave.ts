import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { keepsLayers, keepsObjects } from '../../host/index.ts';
import { askControl, refusalOf } from '../cloud/control-client.ts';
import { hostCredentials } from '../cloud/host-certificate.ts';
import { type CloudIdentity, type JoinedCloud, readIdentity } from '../cloud/identity.ts';
import { cloudLayout } from '../cloud/layout.ts';
import { leaveChassis } from '../cloud/leave-chassis.ts';
import { underMachineLock } from '../cloud/machine-lock.ts';
import { ofItself, sayWhatIsLeft, untilDrained } from '../cloud/maintenance.ts';
import { requireCloudNamespace } from '../cloud/namespace.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { purgeCloud } from '../cloud/purge.ts';
import { stopCloud } from '../cloud/stop.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { dataArgument, loadSettings, type Settings } from '../settings.ts';
import { say } from '../terminal.ts';

export const command: Command = {
  summary: 'take this machine out of the cloud that it has joined',
  usage: '[--no-drain] [--data DIRECTORY]',
  description: `Its servers move to other hosts first, as by 'bothy drain'. Refused while servers, volumes, the only copy of an image or backups of volumes are on this machine; it names them. Then the cloud forgets the host, and its processes and
files are removed here. Safe to repeat: what was interrupted goes on.`,
  options: { 'no-drain': { type: 'boolean', help: 'move nothing away' }, ...dataOption },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    const { paths } = settings;
    requireRoot('leaving a cloud');
    requireCloudNamespace(settings);
    const identity = readIdentity(paths);
    if (!identity?.joined)
      throw new CommandError(
        `${paths.data} is of no machine that has joined a cloud`,
        "a cloud of its own is removed by 'bothy down --purge'",
      );
    const { joined } = identity;
    await underMachineLock(async () => {
      requireNoBackups(settings);
      if (!args.flag('no-drain')) await drainFirst(settings, joined);
      await beForgotten(settings, { ...identity, joined });
      await stopCloud(settings, { keepGuests: true, guestDeadlineMs: 0 });
      await leaveChassis(settings);
      await stopCloud(settings, { keepGuests: false, guestDeadlineMs: 0 });
      await purgeCloud(settings);
    });
    say(`This machine is no host of the cloud at ${joined.controlUrl} any more; nothing of it is left here.`);
    return 0;
  },
};

/** @throws CommandError where servers are left that do not go by themselves */
async function drainFirst(settings: Settings, { controlUrl }: JoinedCloud): Promise<void> {
  const host = ofItself(settings, controlUrl);
  // What the cloud has forgotten before has nothing to move; beForgotten says so.
  if (!(await host.begin(null).then(() => true, isForgotten))) return;
  const found = await untilDrained(host);
  if (found === null || found.state === 'drained') return;
  sayWhatIsLeft(found);
  throw new CommandError(
    `${found.left} servers are left on this machine, and do not go by themselves`,
    "do what helps each of them, then run the command again; to stay in the cloud: 'bothy undrain'",
  );
}

/** @throws all else */
function isForgotten(error: unknown): false {
  if (error instanceof CommandError && error.cause === 'host_not_found') return false;
  throw error;
}

/**
 * Backups outlive their volumes, and may be all that there is of them. Control does not know which directory of a host is its own and which
 * a share of several; of a place that is removed with the host's files this machine knows. @throws CommandError
 */
export function requireNoBackups({ paths, values }: Settings): void {
  const directory = values.backup_directory || join(cloudLayout(paths).hostData, 'backups');
  if (!`${directory}/`.startsWith(`${paths.data}/`)) return;
  const names = namesIn(directory).filter((name) => !name.endsWith('.new'));
  if (names.length === 0) return;
  throw new CommandError(
    `backups of volumes are on this machine only, in ${directory} (${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''})`,
    'delete them (openstack volume backup delete), or move the files to where another host has its backup_directory',
  );
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Until here nothing has been changed. What the cloud has forgotten before needs no other word where nothing is here; else nobody can say whether it is
 * missed: the database may be a copy from before the machine joined. @throws CommandError
 */
export async function beForgotten({ paths }: Settings, { hostId, cloudId, joined }: JoinedIdentity): Promise<void> {
  const { controlUrl: url } = joined;
  const answer = await askControl({ method: 'DELETE', url, path: '/native/v1/hosts/self', ...hostCredentials(paths) });
  const refusal = refusalOf(answer);
  if (!refusal) return;
  if (refusal.reason !== 'host_not_found') {
    const cure =
      answer.status < 500 ? 'then run the command again' : 'bothy logs control, on the machine of control, says why';
    throw new CommandError(`the cloud does not let this machine go: ${refusal.message}`, cure);
  }
  const { hostData } = cloudLayout(paths);
  const owner = { hostId, cloudId };
  const keeps = (await keepsLayers(hostData, owner)) || (await keepsObjects(hostData, owner));
  if (namesIn(join(hostData, 'servers')).length === 0 && !keeps) return;
  throw new CommandError(
    'the cloud does not know this machine, and disks of servers, volumes or objects are here',
    `if none of them is needed: bothy down --purge${dataArgument(paths)}`,
  );
}

type JoinedIdentity = CloudIdentity & { joined: JoinedCloud };
