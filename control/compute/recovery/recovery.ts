/**
 * What `bothy recover` does with what hosts have in quarantine. One transaction a server, decided anew from what is; so it may be
 * interrupted anywhere and run any number of times. Owns no table of its own. The hosts hear of it by the change log, as of any change.
 */
import { sql } from 'kysely';
import type { ServerId } from '../../../contract/ids.ts';
import {
  lockQuarantinedImage,
  lockQuarantinedServer,
  type QuarantinedImageRow,
  type QuarantinedLayerRow,
  type QuarantinedServerRow,
  quarantinedImages,
  quarantinedLayers,
  quarantinedServers,
} from '../../host/index.ts';
import { recoverProject } from '../../identity/recovered-project.ts';
import { discardImage, recoverImage } from '../../image/recovered-image.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { accountIncarnation } from '../../kit/database/incarnation.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { serveRecoveredNetworks } from '../../network/recovered-ports.ts';
import { missingVolume } from '../../storage/recovery/index.ts';
import { decideFate, type Fate, type KnownServer } from './decide.ts';
import { discardVolumes, isMeant, layerGroups, takeUpGroup } from './layers.ts';
import { type Ending, type Outcome, type RecoveryOptions, settled } from './outcome.ts';
import { endServer, raiseServer, remakeServer } from './take-up.ts';

export interface Quarantine {
  servers: QuarantinedServerRow[];
  layers: QuarantinedLayerRow[];
  images: QuarantinedImageRow[];
}

/** Names of hosts that are not connected: what they have nobody knows. */
export async function hostsAway({ database }: RecoveryOptions): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from host where not connected order by name`.execute(
    database.query,
  );
  return rows.map(({ name }) => name);
}

/** What hosts have that the database does not account for. */
export async function listQuarantine({ database }: RecoveryOptions): Promise<Quarantine> {
  const db = database.query;
  const [servers, layers, images] = await Promise.all([
    quarantinedServers(db),
    quarantinedLayers(db),
    quarantinedImages(db),
  ]);
  return { servers, layers, images };
}

/** Takes everything up. What is read first are names: what each of them is, is read again where it is decided. */
export async function recover(options: RecoveryOptions): Promise<Outcome[]> {
  const { database, afterStep } = options;
  const { servers, layers, images } = await listQuarantine(options);
  await afterStep?.('list');
  const outcomes: Outcome[] = [];
  for (const image of images) {
    outcomes.push(
      await imageOutcome(image, () => withImage(options, image, (tx, now) => takeUpImage(tx, now, servers))),
    );
    await afterStep?.(`image ${image.image_id}`);
  }
  // Before the servers, which need them.
  for (const group of layerGroups(layers)) {
    outcomes.push(...(await takeUpGroup(options, group, servers)));
    await afterStep?.(`layer ${group[0]!.layer_id}`);
  }
  // What came in part waits for the whole.
  const parts = Map.groupBy(servers, ({ way }) => way === 'arriving');
  for (const held of [...(parts.get(false) ?? []), ...(parts.get(true) ?? [])]) {
    outcomes.push(await serverOutcome(held, () => withServer(options, held, takeUpServer)));
    await afterStep?.(`server ${held.server_id}`);
  }
  await database.transaction(cloudActor, serveRecoveredNetworks);
  await afterStep?.('networks');
  await account(options, outcomes);
  return outcomes;
}

/** Lets these, or all, be erased. */
export async function discard(options: RecoveryOptions, ids: readonly string[] | 'all'): Promise<Outcome[]> {
  const { servers, layers, images } = await listQuarantine(options);
  await options.afterStep?.('list');
  const meant = (id: string) => ids === 'all' || ids.includes(id);
  const outcomes: Outcome[] = [];
  for (const held of servers.filter(({ server_id }) => meant(server_id))) {
    outcomes.push(await serverOutcome(held, () => withServer(options, held, discardServer)));
  }
  const kept = servers.filter(({ server_id }) => !meant(server_id));
  outcomes.push(...(await discardVolumes(options, layers, { meant, kept })));
  for (const image of images.filter(({ image_id }) => meant(image_id))) {
    const work = async (tx: Tx, now: QuarantinedImageRow): Promise<Partial<Outcome>> => {
      await discardImage(tx, now, await projectOf(tx, now, servers));
      return { outcome: 'discarded' };
    };
    outcomes.push(await imageOutcome(image, () => withImage(options, image, work)));
  }
  if (servers.every(({ server_id }) => meant(server_id))) await account(options, outcomes);
  return outcomes;
}

/** All is decided: the network lets go of what this database does not account for. */
async function account({ database }: RecoveryOptions, outcomes: readonly Outcome[]): Promise<void> {
  if (!outcomes.some(({ outcome }) => outcome === 'failed')) await database.transaction(cloudActor, accountIncarnation);
}

/** Hosts go on speaking while this runs: what one of them has put right meanwhile is nothing to take up, and least of all to erase. */
const withServer = (
  { database }: RecoveryOptions,
  held: QuarantinedServerRow,
  work: (tx: Tx, now: QuarantinedServerRow) => Promise<Ending>,
): Promise<Ending> =>
  database.transaction(cloudActor, async (tx) => {
    const now = await lockQuarantinedServer(tx, held);
    return now ? work(tx, now) : { outcome: 'wait' };
  });

const withImage = (
  { database }: RecoveryOptions,
  image: QuarantinedImageRow,
  work: (tx: Tx, now: QuarantinedImageRow) => Promise<Ending>,
): Promise<Ending> =>
  database.transaction(cloudActor, async (tx) => {
    const now = await lockQuarantinedImage(tx, image);
    return now ? work(tx, now) : { outcome: 'wait' };
  });

const serverOutcome = (held: QuarantinedServerRow, work: () => Promise<Ending>) =>
  settled(
    {
      kind: 'server',
      id: held.server_id,
      hostName: held.host_name,
      name: held.document?.name ?? null,
      outcome: 'failed',
    },
    work,
  );

const imageOutcome = (image: QuarantinedImageRow, work: () => Promise<Ending>) =>
  settled({ kind: 'image', id: image.image_id, hostName: image.host_name, name: null, outcome: 'failed' }, work);

async function takeUpServer(tx: Tx, held: QuarantinedServerRow): Promise<Ending> {
  const fate = await fateOf(tx, held);
  const { document } = held;
  const lacks = document && isTakenUp(fate) ? await missingVolume(tx, held.server_id, document.volumes ?? []) : null;
  if (lacks !== null) return { outcome: 'leave', reason: lacks };
  if (document && fate.fate === 'raise') await raiseServer(tx, { ...held, document }, fate.presence);
  if (document && fate.fate === 'remake') await remakeServer(tx, { ...held, document });
  if (fate.fate === 'end') await endServer(tx, held);
  return { outcome: fate.fate, ...(fate.fate === 'leave' && { reason: fate.reason }) };
}

const isTakenUp = (fate: Fate): boolean =>
  fate.fate === 'remake' || (fate.fate === 'raise' && fate.presence === 'present');

async function fateOf(tx: Tx, held: QuarantinedServerRow): Promise<Fate> {
  const { rows } =
    await sql<KnownServer>`select host_id, epoch, generation, desired_presence, observed_generation >= generation as served from server
    where id = ${held.server_id} for update`.execute(tx);
  const { rows: absences } = await sql<{
    epoch: number;
    generation: number;
  }>`select epoch, generation from server_absence
    where host_id = ${held.host_id} and server_id = ${held.server_id} for update`.execute(tx);
  return decideFate({ hostId: held.host_id, document: held.document, way: held.way }, rows[0], absences[0]);
}

/** A server that is this host's in the database is deleted, as its owner would do it; what is not, is ended on the host. */
async function discardServer(tx: Tx, held: QuarantinedServerRow): Promise<Ending> {
  const { rows } = await sql`update server set desired_presence = 'absent', updated_at = now(),
      epoch = greatest(epoch, ${held.document?.epoch ?? 0}::bigint),
      generation = greatest(generation, ${held.document?.generation ?? 0}::bigint) + 1
    where id = ${held.server_id} and host_id = ${held.host_id} returning id`.execute(tx);
  if (rows.length > 0) await enqueue(tx, 'server', held.server_id);
  else await endServer(tx, held);
  return { outcome: 'discarded' };
}

async function takeUpImage(
  tx: Tx,
  image: QuarantinedImageRow,
  servers: readonly QuarantinedServerRow[],
): Promise<Ending> {
  if (await recoverImage(tx, image, await projectOf(tx, image, servers))) return { outcome: 'remake' };
  return { outcome: 'leave', reason: 'the database has other bytes under this id' };
}

/** Whose it is, is lost; a project that has a server of it comes nearest, else the administrator's own. */
async function projectOf(
  tx: Tx,
  image: QuarantinedImageRow,
  servers: readonly QuarantinedServerRow[],
): Promise<string> {
  const user = servers.find(({ document }) => document?.image?.id === image.image_id)?.document?.projectId;
  if (user !== undefined) {
    await recoverProject(tx, user);
    return user;
  }
  const { rows } = await sql<{ project_id: string }>`
    select coalesce((select project_id from server where image_id = ${image.image_id} order by id limit 1),
      (select p.id from project p join domain d on d.id = p.domain_id where d.is_default order by p.created_at, p.id limit 1)) as project_id`.execute(
    tx,
  );
  return rows[0]!.project_id;
}

/** For those who name servers. */
export const isQuarantined = ({ servers, layers, images }: Quarantine, id: string): boolean =>
  servers.some(({ server_id }) => server_id === (id as ServerId)) ||
  layers.some((layer) => isMeant(layer, id)) ||
  images.some(({ image_id }) => image_id === id);
