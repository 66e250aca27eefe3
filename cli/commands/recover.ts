import { existsSync } from 'node:fs';
import { sentenceOf } from '../../contract/errors.ts';
import { databaseUrlOf } from '../cloud/database-url.ts';
import { requireControlHere } from '../cloud/identity.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { operatorSentences } from '../sentences.ts';
import { dataArgument, loadSettings, type Settings } from '../settings.ts';
import { say } from '../terminal.ts';

export const command: Command = {
  summary: 'take up what hosts have and the database has lost',
  usage: '[--list | --discard ID[,ID…]|all] [--data DIRECTORY]',
  description: `After the database was lost, replaced, or restored from an older dump: hosts keep the guests and disks that it does not
account for, and wait. This takes all of them up: servers with their ids, addresses and disks, volumes with their snapshots and
who has them, networks, images. No guest is ended. Safe to repeat and to interrupt.

--list shows what waits; --discard lets some of it, or all, be erased for good.

Exit code 1: something stays in quarantine; its line says why. See docs/runbook-lost-database.md.`,
  options: {
    list: { type: 'boolean', help: 'only show what waits for a decision' },
    discard: {
      type: 'string',
      help: "IDS of servers, volumes, layers and images to be erased, with commas between; or 'all'",
    },
    ...dataOption,
  },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    requireRoot('recovering a cloud');
    requireControlHere(settings.paths);
    const given = args.text('discard');
    if (args.flag('list') && given !== undefined) {
      throw new CommandError('--list and --discard exclude each other', 'give one of them');
    }
    await requireDatabase(settings);
    return work(settings, { list: args.flag('list'), discard: given });
  },
};

/** Refuses where no database answers, in words: a cloud that is down or elsewhere is the common case, not a fault. */
async function requireDatabase(settings: Settings): Promise<void> {
  const { paths, values } = settings;
  if (!existsSync(paths.identityFile)) {
    throw new CommandError(`there is no cloud in ${paths.data}`, 'is this the right --data directory?');
  }
  const { sessionLimits } = await import('../../control/kit/database/connection.ts');
  const { connect } = await import('../../control/kit/database/members.ts');
  const { Secret } = await import('../../contract/secret.ts');
  try {
    const url = new Secret(databaseUrlOf(settings));
    const limits = { ...sessionLimits, connectMs: 5000 };
    await (await connect({ url, applicationName: 'bothy recover', limits })).end();
  } catch (error) {
    throw new CommandError(
      `the database cannot be reached: ${(error as Error).message}`,
      values.database_url === ''
        ? `the cloud must run for this: sudo ./bothy up --detach${dataArgument(paths)}`
        : 'check database_url (or DATABASE_URL) and the server behind it',
    );
  }
}

async function work(settings: Settings, wish: { list: boolean; discard: string | undefined }): Promise<number> {
  // Loaded only now: they bring the database's libraries, which other commands do without.
  const recovery = await import('../../control/compute/recovery/index.ts');
  const { Database } = await import('../../control/kit/database/database.ts');
  const { Secret } = await import('../../contract/secret.ts');
  const database = new Database({ url: new Secret(databaseUrlOf(settings)), applicationName: 'bothy recover' });
  try {
    const quarantine = await recovery.listQuarantine({ database });
    if (wish.list) return show(quarantine, await recovery.hostsAway({ database }));
    if (wish.discard !== undefined) {
      const ids =
        wish.discard === 'all' ? 'all' : requireKnown(wish.discard, (id) => recovery.isQuarantined(quarantine, id));
      return tell(await recovery.discard({ database }, ids));
    }
    return tell(await recovery.recover({ database }));
  } finally {
    await database.close();
  }
}

function requireKnown(text: string, isKnown: (id: string) => boolean): string[] {
  const ids = text.split(',').map((id) => id.trim());
  const stranger = ids.find((id) => !isKnown(id));
  if (stranger === undefined) return ids;
  throw new CommandError(`nothing in quarantine has the id '${stranger}'`, 'bothy recover --list shows what there is');
}

type Quarantine = Awaited<ReturnType<typeof import('../../control/compute/recovery/index.ts')['listQuarantine']>>;
type Outcome = Awaited<ReturnType<typeof import('../../control/compute/recovery/index.ts')['recover']>>[number];

function show({ servers, layers, images }: Quarantine, away: readonly string[]): number {
  if (servers.length + layers.length + images.length === 0) say('Nothing is in quarantine.');
  if (away.length > 0) say(`What these hosts have is not in the list, for they are not connected: ${away.join(', ')}`);
  for (const { server_id, host_name, reason, since, guest, document } of servers) {
    const name = document ? ` '${document.name}'` : '';
    say(
      `server ${server_id}${name} on ${host_name}: ${reasons[reason]}, since ${since.toISOString()}; ${guest ? 'its guest runs' : 'off'}`,
    );
  }
  for (const of of Map.groupBy(layers, ({ host_id, document }) => `${host_id} ${document.volumeId}`).values())
    showVolume(of);
  for (const { image_id, host_name, size_bytes } of images) {
    say(`image ${image_id} on ${host_name}: ${size_bytes} bytes that no image of the database has`);
  }
  return 0;
}

/** By the volume that its layers were made of. */
function showVolume(layers: Quarantine['layers']): void {
  const { host_name, document } = layers[0]!;
  const named = layers.flatMap(({ document: { record } }) => record?.volume?.name ?? [])[0];
  const encrypted = layers.some((layer) => layer.document.encryption)
    ? '; encrypted, and unreadable without its key'
    : '';
  const why = [...new Set(layers.map(({ reason }) => reasons[reason]))].join(', or ');
  const ids = layers.map(({ layer_id }) => layer_id).join(', ');
  say(
    `volume ${document.volumeId}${named === undefined ? '' : ` '${named}'`} on ${host_name}: ${why}${encrypted}; layers ${ids}`,
  );
}

const reasons = {
  missing: 'the database does not know it there',
  older: 'the database has an older state of it',
  unclaimed: 'a disk without a document',
} as const;

const endings: Record<Outcome['outcome'], string> = {
  raise: 'taken up',
  remake: 'made again and taken up',
  end: 'was deleted: its host removes it',
  wait: 'decided already; waits for its host',
  discarded: 'discarded: its host erases it',
  leave: 'stays in quarantine',
  failed: 'stays in quarantine',
};

function tell(outcomes: readonly Outcome[]): number {
  if (outcomes.length === 0) say('Nothing is in quarantine.');
  for (const { kind, id, name, hostName, outcome, reason, refusal } of outcomes) {
    const why = reason ?? (refusal && (sentenceOf(refusal, operatorSentences) ?? refusal.message));
    say(
      `${kind} ${id}${name === null ? '' : ` '${name}'`} on ${hostName}: ${endings[outcome]}${why ? `: ${why}` : ''}`,
    );
  }
  return outcomes.some(({ outcome }) => outcome === 'leave' || outcome === 'failed') ? 1 : 0;
}
