/**
 * Chains that have grown long become shorter: layers that nobody needs but the one that builds on them are merged into that one. It is given
 * what they built on; its host copies their content into it; once it has said so they are released (reports.ts). One merge at a time in a
 * chain, what costs least first. Short chains are left alone: a merge copies all that is in the layer, and costs the pool as much.
 *
 * A task of the queue by the id of any layer of the chain, and a sweep for what no job knows of. If the process dies the merge is under
 * way, and the host's word ends it.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { cloudActor, type Database, type Queryable, type Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { isServedInSql } from './layer.ts';
import { isNeededByOthers } from './release.ts';

/** Longer ones are shortened. A guest's QEMU opens each layer, and a read of what is nowhere asks all of them. */
export const longestChain = 16;
const sweepMs = 30_000;
const sweepAtATime = 100;

/** A layer as the plan sees it. */
export interface ChainLink {
  id: string;
  allocated_bytes: number;
  /** Its host has said that it is as it shall be; it is of no cache, whose layers are ../cache's to move. */
  served: boolean;
  /** Its file still builds on something else. */
  moving: boolean;
  /** Nobody needs it but the one that builds on it. */
  spare: boolean;
}

export interface Merge {
  into: string;
  /** The highest of those that are merged, and the lowest. */
  highest: string;
  lowest: string;
}

/**
 * What to merge in a chain, from its top down: so many neighbours as make it half as long as it may be, those that cost least for each
 * layer that goes. Undefined: it is short enough, or nothing can be merged now. Pure.
 */
export function planMerge(chain: readonly ChainLink[], longest: number = longestChain): Merge | undefined {
  if (chain.length <= longest || chain.some(({ moving }) => moving)) return undefined;
  const most = chain.length - Math.ceil(longest / 2);
  const links = chain.map((link, index) => ({ link, run: runFrom(chain, index, most) }));
  const [best] = links
    .flatMap(({ link: into, run }) => (into.served && run.length > 0 ? { into, run } : []))
    .sort((a, b) => costOf(a.run) - costOf(b.run) || b.run.length - a.run.length);
  return best && { into: best.into.id, highest: best.run[0]!.id, lowest: best.run.at(-1)!.id };
}

/** Those below the layer that can be merged into it. */
function runFrom(chain: readonly ChainLink[], index: number, most: number): readonly ChainLink[] {
  const below = chain.slice(index + 1, index + 1 + most);
  const end = below.findIndex((link) => !isMergeable(link));
  return end < 0 ? below : below.slice(0, end);
}

const costOf = (run: readonly ChainLink[]): number =>
  run.reduce((sum, link) => sum + link.allocated_bytes, 0) / run.length;

const isMergeable = ({ spare, served }: ChainLink): boolean => spare && served;

export class LayerShortener {
  readonly #options: { database: Database; log: Logger };
  readonly #sweep: Sweep;

  constructor(options: { database: Database; log: Logger }) {
    this.#options = options;
    this.#sweep = new Sweep(() => this.sweep(), { everyMs: sweepMs, log: options.log, what: 'layer sweep' });
  }

  /** For the work queue. */
  tasks(): { volume_layer: (id: string) => Promise<void> } {
    return { volume_layer: (id) => this.shorten(id) };
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** Gives jobs to chains with something to merge. */
  async sweep(): Promise<void> {
    await sql`select enqueue('volume_layer', id::text, now()) from (select id from volume_layer where shorten_at < now()
      order by shorten_at limit ${sweepAtATime}) due`.execute(this.#options.database.query);
  }

  /** Begins a merge in the longest chain that the layer is in, where it is too long. */
  async shorten(id: string): Promise<void> {
    const { database, log } = this.#options;
    const seen = planMerge(await chainOf(database.query, id));
    // Nothing to do as a rule; not before the sweep has come round.
    if (!seen) return putOff(database.query, id);
    const merge = await database.transaction(cloudActor, async (tx) => {
      const links = await chainOf(tx, id);
      await lockInOrder(tx, links);
      const plan = planMerge(await chainOf(tx, id));
      if (plan) await begin(tx, plan);
      return plan;
    });
    if (merge) log.info(merge, 'layers are merged');
  }
}

/** The longest chain through the layer, from its top down. What is looked up for each is so by `offset 0`: else it is joined with all there are. */
async function chainOf(db: Queryable, id: string): Promise<ChainLink[]> {
  const { rows } = await sql<ChainLink>`
    with recursive
    above (id, height) as (
      select id, 0 from volume_layer where id = ${id} and desired_presence = 'present'
      union all select c.id, height + 1 from above, lateral (
        select id from volume_layer where parent_id = above.id and desired_presence = 'present' offset 0) c),
    chain (id, depth) as (
      (select id, 0 from above order by height desc, id limit 1)
      union all select l.parent_id, depth + 1 from chain, lateral (
        select parent_id from volume_layer where id = chain.id and parent_id is not null offset 0) l)
    select l.* from chain, lateral (
      select l.id, l.observed_allocated_bytes as allocated_bytes, (${isServedInSql('l')} and l.cache_role is null) as served, l.former_parent_id is not null as moving,
        (coalesce(l.shorten_at < now() + interval '1 minute', false) and l.read_only and not ${isNeededByOthers}
          and (select count(*) from volume_layer c where c.parent_id = l.id and c.desired_presence = 'present') = 1) as spare
      from volume_layer l where l.id = chain.id offset 0) l
    order by depth`.execute(db);
  return rows;
}

/** From the top down, as all who lock several do. */
async function lockInOrder(tx: Tx, links: readonly ChainLink[]): Promise<void> {
  const ids = links.map((link) => link.id);
  await sql`select from volume_layer where ${isOneOf(sql`id`, ids)} order by array_position(${ids}::uuid[], id) for no key update`.execute(
    tx,
  );
}

/** The layer shall build on what the lowest of them does; until its file does, the highest of them stays, and with it the others. */
async function begin(tx: Tx, { into, highest, lowest }: Merge): Promise<void> {
  // Of an encrypted layer the image is a copy within.
  const clear = sql`l.key_id is null and b.key_id is null`;
  await sql`update volume_layer l set parent_id = b.parent_id, image_id = case when ${clear} then b.image_id end,
      image = case when ${clear} then b.image end, former_parent_id = ${highest},
      generation = l.generation + 1, updated_at = now()
    from volume_layer b where l.id = ${into} and b.id = ${lowest}`.execute(tx);
}

/** The sweep looks at others first. What could not be merged waits for longer, and is not spare until then. */
async function putOff(db: Queryable, id: string): Promise<void> {
  await sql`update volume_layer set shorten_at = now() + interval '30 seconds' where id = ${id} and shorten_at < now()`.execute(
    db,
  );
}
