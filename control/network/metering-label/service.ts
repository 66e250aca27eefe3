/**
 * Metering labels and their rules: the operations that the dialects may call. Each is one transaction that holds the label's row. Administrators
 * alone write them, as with Neutron; who belongs to a label's project sees it.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { cidrsOverlap, parseCidr } from '../../kit/address.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { forbidden, lockOwn, projectFor, touched } from '../../kit/rows.ts';
import {
  type MeteringLabelRow,
  type MeteringLabelRuleRow,
  meteringLabelListing,
  meteringLabelRuleListing,
} from './metering-label.ts';
import type { MeteringDirection } from './prefixes.ts';

export interface MeteringLabelWish {
  project_id?: string;
  name?: string;
  description?: string;
  shared?: boolean;
}

/** Prefixes are well-formed texts with a length, host bits allowed. */
export interface MeteringLabelRuleWish {
  metering_label_id: string;
  direction: MeteringDirection;
  excluded?: boolean;
  remote_ip_prefix?: string | null;
  source_ip_prefix?: string | null;
  destination_ip_prefix?: string | null;
}

/**
 * That count on the routers of one project, shared ones among them. Rules of which some name sources and others destinations cost a counter for each pair of
 * them, on each of its routers.
 */
const maximumRules = 100;

export class MeteringLabelService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<MeteringLabelRow[]> {
    return listRows(this.#database.query, caller, meteringLabelListing, query);
  }

  read(caller: Caller, id: string): Promise<MeteringLabelRow> {
    return readRow(this.#database.query, caller, meteringLabelListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly MeteringLabelWish[]): Promise<MeteringLabelRow[]> {
    requireAdmin(caller, 'create_metering_label');
    const rows = wishes.map((wish) => ({
      ...wish,
      id: newId(),
      project_id: projectFor(caller, wish.project_id, 'create_metering_label'),
    }));
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await tx.insertInto('metering_label').values(rows).execute();
      return listMade(
        tx,
        caller,
        meteringLabelListing,
        rows.map(({ id }) => id),
      );
    });
  }

  /** With its rules and its meter. */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockLabel(tx, caller, id, 'delete_metering_label');
      await sql`delete from metering_label where id = ${id}`.execute(tx);
    });
  }

  listRules(caller: Caller, query: ListQuery): Promise<MeteringLabelRuleRow[]> {
    return listRows(this.#database.query, caller, meteringLabelRuleListing, query);
  }

  readRule(caller: Caller, id: string): Promise<MeteringLabelRuleRow> {
    return readRow(this.#database.query, caller, meteringLabelRuleListing, id);
  }

  /** All or none. */
  async createRules(caller: Caller, wishes: readonly MeteringLabelRuleWish[]): Promise<MeteringLabelRuleRow[]> {
    requireAdmin(caller, 'create_metering_label_rule');
    for (const wish of wishes) checkPrefixes(wish);
    return this.#database.transaction(actorOf(caller), async (tx) => {
      // A shared label has to do with those of all projects, so that rules are made one after the other.
      await sql`select pg_advisory_xact_lock(hashtextextended('metering_label_rule', 0))`.execute(tx);
      const labels = [...new Set(wishes.map((wish) => wish.metering_label_id))].sort();
      for (const id of labels) await lockLabel(tx, caller, id, 'create_metering_label_rule');
      const rows = wishes.map((wish) => ({ ...wish, id: newId() }));
      for (const row of rows) {
        await refuseOverlap(tx, row);
        await tx.insertInto('metering_label_rule').values(row).execute();
      }
      await refuseTooMany(tx, labels);
      await touchLabels(tx, labels);
      return listMade(
        tx,
        caller,
        meteringLabelRuleListing,
        rows.map(({ id }) => id),
      );
    });
  }

  async deleteRule(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { metering_label_id: label } = await readRow(tx, caller, meteringLabelRuleListing, id);
      await lockLabel(tx, caller, label, 'delete_metering_label_rule');
      // Under the lock: somebody may have been faster.
      await readRow(tx, caller, meteringLabelRuleListing, id);
      await sql`delete from metering_label_rule where id = ${id}`.execute(tx);
      await touchLabels(tx, [label]);
    });
  }
}

function requireAdmin(caller: Caller, operation: string): void {
  if (!isAdmin(caller)) throw forbidden(operation);
}

/** What is not seen is not there; what is seen is still no one's to change but administrators'. */
async function lockLabel(tx: Tx, caller: Caller, id: string, operation: string): Promise<void> {
  await lockOwn<MeteringLabelRow>(tx, caller, 'metering_label', id, operation);
  requireAdmin(caller, operation);
}

const touchLabels = (tx: Tx, ids: readonly string[]) =>
  tx.updateTable('metering_label').set(touched).where('id', 'in', ids).execute();

/** @throws CloudError `invalid` */
function checkPrefixes(wish: MeteringLabelRuleWish): void {
  const { remote_ip_prefix: remote, source_ip_prefix: source, destination_ip_prefix: destination } = wish;
  if (remote && (source || destination)) throw new CloudError('invalid', 'metering_label_rule_prefixes_ambiguous', {});
  if (!remote && !source && !destination) throw new CloudError('invalid', 'metering_label_rule_without_prefix', {});
  if (source && destination && parseCidr(source)!.version !== parseCidr(destination)!.version) {
    throw new CloudError('invalid', 'metering_label_rule_of_two_ip_versions', { source, destination });
  }
}

/** Remote prefixes alone, of one label, direction and sense, as with Neutron. Under the label's lock. */
async function refuseOverlap(tx: Tx, wish: MeteringLabelRuleWish): Promise<void> {
  const { remote_ip_prefix: prefix, metering_label_id: label, direction, excluded = false } = wish;
  if (!prefix) return;
  const { rows } = await sql<{ other: string }>`select remote_ip_prefix::text as other from metering_label_rule
    where metering_label_id = ${label} and direction = ${direction} and excluded = ${excluded}
      and remote_ip_prefix is not null`.execute(tx);
  if (rows.some(({ other }) => cidrsOverlap(parseCidr(other)!, parseCidr(prefix)!))) {
    throw new CloudError('conflict', 'metering_label_rule_overlaps', { prefix });
  }
}

/** What a shared label counts comes on top in every project, so that of all projects the one with the most is asked for where one of these labels is shared. */
async function refuseTooMany(tx: Tx, labels: readonly string[]): Promise<void> {
  const touched = sql`metering_label where id = any(${[...labels]}::uuid[])`;
  const { rows } = await sql<{ most: number }>`select
      (select count(*) from metering_label_rule r join metering_label l on l.id = r.metering_label_id where l.shared)
      + coalesce((select max(count) from (
        select count(*) from metering_label_rule r join metering_label l on l.id = r.metering_label_id
        where not l.shared and (exists (select from ${touched} and shared) or l.project_id = any(array(select project_id from ${touched})))
        group by l.project_id) counted), 0) as most`.execute(tx);
  if (Number(rows[0]!.most) > maximumRules) {
    throw new CloudError('invalid', 'too_many_metering_label_rules', { maximum: maximumRules });
  }
}
