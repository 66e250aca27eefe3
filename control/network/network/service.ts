/**
 * Networks: the operations that the dialects may call. Each is one transaction. A network is made with its metadata
 * port and goes with its subnets; ports of others keep it in being.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { portLimits } from '../../../contract/host/limits.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint, withCommit } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type Listing, type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { forbidden, lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { sees } from '../access.ts';
import { refuseOverPromise } from '../bandwidth/bandwidth.ts';
import { deleteLooseFloatingIps } from '../floating-ip/loose.ts';
import type { NetworkFacts } from '../port/create.ts';
import { createMetadataPorts, metadataOwner } from '../port/metadata-port.ts';
import { checkQosChange, defaultQosPolicyOf, requireQosPolicies } from '../qos-policy/use.ts';
import { leftWithoutRight, share, unshare } from '../rbac-policy/share.ts';
import { numberOf, requireCarriedTogether, requireFree } from '../segment/carry.ts';
import { chooseProvider, type Provider, type ProviderWish } from '../segment/provider.ts';
import { insertSegments } from '../segment/service.ts';
import { type NetworkRow, networkListing } from './network.ts';
import { network as descriptor } from './resource.ts';

export interface NetworkWish extends ProviderWish {
  project_id?: string;
  name?: string;
  description?: string;
  admin_state_up?: boolean;
  shared?: boolean;
  external?: boolean;
  is_default?: boolean;
  port_security_enabled?: boolean;
  mtu?: number;
  dns_domain?: string;
  qos_policy_id?: string | null;
  /** In their order; beside the provider attributes there are none. */
  segments?: ProviderWish[];
}

/** What only administrators may set; Neutron's rule for each is create_network:<name>. */
const forAdministrators = [
  ['shared', 'shared'],
  ['external', 'router:external'],
  ['is_default', 'is_default'],
  ['provider_network_type', 'provider:network_type'],
  ['provider_physical_network', 'provider:physical_network'],
  ['provider_segmentation_id', 'provider:segmentation_id'],
  ['segments', 'segments'],
] as const;

const sharing = [
  ['shared', 'access_as_shared'],
  ['external', 'access_as_external'],
] as const;

const { minimum: minimumMtu } = portLimits.mtu;
const minimumMtuIpv6 = 1280;

export class NetworkService {
  readonly #database: Database;
  readonly #listing: Listing<NetworkRow> = networkListing;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<NetworkRow[]> {
    return listRows(this.#database.query, caller, this.#listing, query);
  }

  read(caller: Caller, id: string): Promise<NetworkRow> {
    return readRow(this.#database.query, caller, this.#listing, id);
  }

  /** All or none. */
  create(caller: Caller, wishes: readonly NetworkWish[]): Promise<NetworkRow[]> {
    return this.#database.transaction(actorOf(caller), async (tx) =>
      withCommit(listMade(tx, caller, this.#listing, await createNetworks(tx, caller, wishes))),
    );
  }

  async update(caller: Caller, id: string, wish: NetworkWish): Promise<NetworkRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<NetworkRow>(tx, caller, 'network', id, 'update_network', {
        maySee: () => sees(tx, caller, networkListing, id),
      });
      refuseForOthers(caller, wish, 'update_network', now);
      await changeSharing(tx, now, wish);
      if (wish.external && !now.external) await requireOneSegment(tx, id);
      if (wish.is_default === true && !now.is_default) await checkOnlyDefault(tx, id);
      if (wish.mtu !== undefined) await checkMtu(tx, now, wish.mtu);
      await checkQosChange(tx, caller, now.qos_policy_id, wish.qos_policy_id);
      const { project_id: _, provider_network_type: type, segments, ...columns } = wish;
      if (
        type !== undefined ||
        segments !== undefined ||
        wish.provider_physical_network !== undefined ||
        wish.provider_segmentation_id != null
      ) {
        throw new CloudError('invalid', 'provider_attributes_fixed', {});
      }
      await tx
        .updateTable('network')
        .set({ ...defined(columns), ...touched })
        .where('id', '=', id)
        .execute()
        .catch(refuseOverPromise(id));
      return readRow(tx, caller, this.#listing, id);
    });
  }

  /** With its subnets. Refused while ports other than the cloud's own are on it. */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), (tx) => deleteNetwork(tx, caller, id));
  }
}

/** In the caller's transaction. Answers their ids, in the order of the wishes. @throws CloudError */
export async function createNetworks(tx: Tx, caller: Caller, wishes: readonly NetworkWish[]): Promise<string[]> {
  for (const wish of wishes) refuseForOthers(caller, wish, 'create_network', undefined);
  const plans = wishes.map((wish) => {
    const [provider, ...further] = providersOf(wish);
    const project = projectFor(caller, wish.project_id, 'create_network');
    return { wish, provider, further, id: newId(), project };
  });
  const byProject = Map.groupBy(plans, ({ project }) => project);
  const quotas = [...byProject.keys()]
    .sort()
    .map((project) => checkQuota(tx, project, descriptor.usage, { networks: byProject.get(project)!.length }));
  // What is asked first is answered first: a quota refuses in the round trip of the inserts, and undoes them.
  const made = insertNetworks(tx, caller, plans);
  made.catch(() => {});
  await Promise.all(quotas);
  await made;
  return plans.map(({ id }) => id);
}

interface NetworkPlan {
  wish: NetworkWish;
  provider: Provider;
  /** Of its segments beside the first. */
  further: Provider[];
  id: string;
  project: string;
}

/** Of its segments, the first one first. @throws CloudError `invalid` */
function providersOf(wish: NetworkWish): [Provider, ...Provider[]] {
  const { segments = [] } = wish;
  if (segments.length === 0) return [chooseProvider(wish)];
  if (wish.provider_network_type ?? wish.provider_physical_network ?? wish.provider_segmentation_id ?? false) {
    throw new CloudError('invalid', 'segments_with_provider_attributes', {});
  }
  const providers = segments.map((segment) => {
    if (segment.provider_network_type === undefined) throw new CloudError('invalid', 'network_type_required', {});
    return chooseProvider(segment);
  });
  const known = providers.filter(({ type, segmentationId }) => type !== 'geneve' || segmentationId !== null);
  if (new Set(known.map((one) => JSON.stringify(one))).size < known.length) {
    throw new CloudError('invalid', 'segments_contain_duplicate_entry', {});
  }
  requireCarriedTogether(providers);
  if (wish.external && providers.length > 1) throw new CloudError('invalid', 'segments_of_external_network', {});
  return providers as [Provider, ...Provider[]];
}

/** With what each has from the beginning. */
async function insertNetworks(tx: Tx, caller: Caller, plans: readonly NetworkPlan[]): Promise<void> {
  await requireQosPolicies(
    tx,
    caller,
    plans.map(({ wish }) => wish.qos_policy_id),
  );
  for (const { wish, provider, further } of plans) {
    for (const one of [provider, ...further]) await requireFree(tx, one);
    if (wish.is_default) await checkOnlyDefault(tx, undefined);
  }
  const rows = plans.map(({ id, project, wish, provider }) => ({
    ...{ id, project_id: project },
    ...newRow(wish, provider),
    qos_policy_id: wish.qos_policy_id ?? defaultQosPolicyOf(project),
  }));
  const facts = plans.map(
    ({ id, project: project_id, wish }): NetworkFacts => ({
      ...{
        id,
        project_id,
        name: wish.name ?? '',
        external: false,
        grants: [],
        port_security_enabled: true,
        subnets: [],
      },
    }),
  );
  await Promise.all([tx.insertInto('network').values(rows).execute(), createMetadataPorts(tx, facts)]);
  await insertSegments(
    tx,
    plans.flatMap(({ id, further }) =>
      further.map((provider, index) => ({ id: newId(), network_id: id, position: index + 1, provider })),
    ),
  );
  for (const [attribute, action] of sharing) {
    await share(
      tx,
      'network',
      rows.filter((row) => row[attribute]),
      action,
    );
  }
}

/** In the caller's transaction; see the service's. Of an external network the floating IPs that lead nowhere go with it. */
export async function deleteNetwork(tx: Tx, caller: Caller, id: string): Promise<void> {
  const now = await lockOwn<NetworkRow>(tx, caller, 'network', id, 'delete_network', {
    maySee: () => sees(tx, caller, networkListing, id),
  });
  if (now.external) await deleteLooseFloatingIps(tx, caller, id);
  const { rows } = await sql<{ id: string }>`select id from port
    where network_id = ${id} and device_owner <> ${metadataOwner} limit 20`.execute(tx);
  if (rows.length > 0)
    throw networkInUse(
      id,
      rows.map((row) => row.id),
    );
  await sql`delete from port where network_id = ${id}`.execute(tx);
  await sql`delete from network where id = ${id}`.execute(tx).catch((error: unknown) => {
    throw violatedConstraint(error) === undefined ? error : networkInUse(id, []);
  });
}

const networkInUse = (id: string, ports: readonly string[]) =>
  new CloudError('conflict', 'network_in_use', { id, ports });

/** Administrators' attributes may be named by others only with the value that is there anyway. */
function refuseForOthers(caller: Caller, wish: NetworkWish, operation: string, now: NetworkRow | undefined): void {
  if (isAdmin(caller)) return;
  for (const [column, name] of forAdministrators) {
    const value = wish[column];
    if (value === undefined || value === (now?.[column] ?? false)) continue;
    throw forbidden(operation, name);
  }
}

function newRow(wish: NetworkWish, provider: Provider) {
  const mtu = wish.mtu === undefined || wish.mtu === 0 ? provider.maximumMtu : wish.mtu;
  if (mtu < minimumMtu || mtu > provider.maximumMtu) throw mtuInvalid(mtu, provider.maximumMtu);
  return {
    ...defined({
      name: wish.name,
      description: wish.description,
      admin_state_up: wish.admin_state_up,
      shared: wish.shared,
      external: wish.external,
      is_default: wish.is_default,
      port_security_enabled: wish.port_security_enabled,
      dns_domain: wish.dns_domain,
    }),
    mtu,
    provider_network_type: provider.type,
    provider_physical_network: provider.physicalNetwork,
    provider_segmentation_id: numberOf(provider),
  };
}

const mtuInvalid = (mtu: number, maximum: number) =>
  new CloudError('invalid', 'mtu_out_of_range', { mtu, minimum: minimumMtu, maximum });

async function checkOnlyDefault(tx: Tx, id: string | undefined): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('default network', 0))`.execute(tx);
  const { rows } = await sql<{ id: string }>`select id from network
    where is_default and id is distinct from ${id ?? null}::uuid limit 1`.execute(tx);
  if (rows[0]) {
    throw new CloudError('conflict', 'default_external_network_exists', { id: rows[0].id });
  }
}

async function requireOneSegment(tx: Tx, id: string): Promise<void> {
  const { rows } = await sql`select from segment where network_id = ${id} limit 2`.execute(tx);
  if (rows.length > 1) throw new CloudError('invalid', 'segments_of_external_network', {});
}

async function checkNotInUseAsExternal(tx: Tx, id: string): Promise<void> {
  const { rows } = await sql`select from port where network_id = ${id}
    and device_owner in ('network:router_gateway', 'network:floatingip') limit 1`.execute(tx);
  if (rows.length > 0) {
    throw new CloudError('conflict', 'external_network_in_use', { id });
  }
}

/** Policies with what the network calls itself. @throws CloudError `conflict` while somebody relies on what shall go */
async function changeSharing(tx: Tx, now: NetworkRow, wish: NetworkWish): Promise<void> {
  const { id } = now;
  if (wish.external === false && now.external) {
    await checkNotInUseAsExternal(tx, id);
    await unshare(tx, 'network', id, 'access_as_external', { all: true });
  }
  if (wish.shared === false && now.shared) {
    await unshare(tx, 'network', id, 'access_as_shared');
    if (await leftWithoutRight(tx, 'network', id, 'access_as_shared', null)) {
      throw new CloudError('conflict', 'invalid_shared_setting', { id });
    }
  }
  for (const [attribute, action] of sharing) {
    if (wish[attribute] && !now[attribute]) await share(tx, 'network', [now], action);
  }
}

async function checkMtu(tx: Tx, network: NetworkRow, mtu: number): Promise<void> {
  const { maximumMtu } = chooseProvider(network);
  if (mtu < minimumMtu || mtu > maximumMtu) throw mtuInvalid(mtu, maximumMtu);
  if (mtu >= minimumMtuIpv6) return;
  const { rows } = await sql`select from subnet where network_id = ${network.id} and ip_version = 6 limit 1`.execute(
    tx,
  );
  if (rows.length > 0) {
    throw new CloudError('conflict', 'network_mtu_subnet_conflict', { id: network.id, minimum: minimumMtuIpv6 });
  }
}
