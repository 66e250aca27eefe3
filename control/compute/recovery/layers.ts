/**
 * Volumes in quarantine: what of their layers belongs together is decided in one transaction, anew from what is. The rows are made in
 * control/storage/recovery.
 */

import { sql } from 'kysely';
import { type LayerId, parseId } from '../../../contract/ids.ts';
import { lockQuarantinedLayers, type QuarantinedLayerRow, type QuarantinedServerRow } from '../../host/index.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { discardLayers, erasable, groupsOf, knownAmong, takeUpLayers } from '../../storage/recovery/index.ts';
import { type Outcome, type RecoveryOptions, settled } from './outcome.ts';
import { nobody } from './take-up.ts';

type Group = readonly [QuarantinedLayerRow, ...QuarantinedLayerRow[]];

/** By host; of each what belongs together. */
export function layerGroups(layers: readonly QuarantinedLayerRow[]): Group[] {
  const byHost = Map.groupBy(layers, ({ host_id }) => host_id);
  return [...byHost.values()].flatMap((ofHost) => groupsOf(ofHost)) as unknown as Group[];
}

/** What the host does not hold in quarantine any more is decided already. */
export async function takeUpGroup(
  { database }: RecoveryOptions,
  group: Group,
  servers: readonly QuarantinedServerRow[],
): Promise<Outcome[]> {
  const [{ host_id: hostId, host_name: hostName, layer_id: first }] = group;
  const outcomes: Outcome[] = [];
  const failed = await settled({ kind: 'layer', id: first, hostName, name: null, outcome: 'wait' }, async () => {
    const found = await database.transaction(cloudActor, async (tx) => {
      const ids = group.map(({ layer_id }) => layer_id);
      const now = groupsOf(await lockQuarantinedLayers(tx, hostId, ids)).flat();
      return takeUpLayers(tx, now, { hostId, ownerOf: (volumeId) => ownerOf(tx, volumeId, servers) });
    });
    outcomes.push(...found.map((each) => ({ ...each, hostName })));
    return {};
  });
  return failed.outcome === 'failed' ? [failed] : outcomes;
}

/** A project that has a server with it comes nearest, else the administrator's own. */
async function ownerOf(tx: Tx, volumeId: string, servers: readonly QuarantinedServerRow[]) {
  const user = servers.find(({ document }) => document?.volumes?.some(({ id }) => id === volumeId))?.document;
  if (user) return { projectId: user.projectId as string, userId: parseId(user.userId) ?? nobody };
  const { rows } = await sql<{ id: string }>`select p.id from project p join domain d on d.id = p.domain_id
    where d.is_default order by p.created_at, p.id limit 1`.execute(tx);
  return { projectId: rows[0]!.id, userId: nobody };
}

/** A layer is meant by its own id, and by that of the volume that it is of. */
export const isMeant = ({ layer_id, document }: QuarantinedLayerRow, id: string): boolean =>
  [layer_id, document.volumeId, document.record?.volume?.id].some((known) => known === id);

/** Lets the layers of these be erased: those on which nothing builds that stays, and that no server has that stays. */
export async function discardVolumes(
  { database }: RecoveryOptions,
  layers: readonly QuarantinedLayerRow[],
  { meant, kept }: { meant(id: string): boolean; kept: readonly QuarantinedServerRow[] },
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const group of layerGroups(layers)) {
    const wanted = group.filter((layer) => isMeantBy(layer, meant));
    if (wanted.length === 0) continue;
    const ofGroup = await database.transaction(cloudActor, async (tx) => {
      const [{ host_id: hostId }] = group;
      const ids = group.map(({ layer_id }) => layer_id);
      const now = groupsOf(await lockQuarantinedLayers(tx, hostId, ids)).flat();
      const known = await knownAmong(tx, ids);
      const refusal = (layer: QuarantinedLayerRow) => whyNot(layer, { known, kept });
      const unwanted = now.filter((layer) => isMeantBy(layer, meant) && refusal(layer) === null);
      const going = erasable(now, new Set(unwanted.map(({ layer_id }) => layer_id)));
      await discardLayers(tx, going);
      return now.filter((each) => isMeantBy(each, meant)).map((layer) => outcomeOf(layer, going, refusal));
    });
    outcomes.push(...ofGroup);
  }
  return outcomes;
}

const isMeantBy = (layer: QuarantinedLayerRow, meant: (id: string) => boolean): boolean => {
  const { layer_id, document } = layer;
  const volumeId = document.record?.volume?.id;
  return meant(layer_id) || meant(document.volumeId) || (volumeId !== undefined && meant(volumeId));
};

function whyNot(
  { layer_id }: QuarantinedLayerRow,
  { known, kept }: { known: ReadonlySet<LayerId>; kept: readonly QuarantinedServerRow[] },
): string | null {
  if (known.has(layer_id)) return 'the database knows it: take it up, and delete it as any other';
  const user = kept.find((server) => server.document?.volumes?.some(({ layerId }) => layerId === layer_id));
  return user ? `server ${user.server_id} has it` : null;
}

function outcomeOf(
  layer: QuarantinedLayerRow,
  going: readonly QuarantinedLayerRow[],
  refusal: (layer: QuarantinedLayerRow) => string | null,
): Outcome {
  const { layer_id: id, host_name: hostName, document } = layer;
  const base = { kind: 'layer', id, hostName, name: document.record?.volume?.name ?? null } as const;
  if (going.includes(layer)) return { ...base, outcome: 'discarded' };
  return { ...base, outcome: 'leave', reason: refusal(layer) ?? 'others that stay build on it' };
}
