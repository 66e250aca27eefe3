/**
 * A machine becomes a host (docs/decisions/0015-join.md). All is checked before the one transaction that uses the token up and makes the host's
 * row; the certificate is signed before it, for nothing where it fails. If the process dies on any line, the same machine asks again, by its
 * key, and gets the same host. Owns the rows of `host` that it makes, until their hosts' first hello.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { sql } from 'kysely';
import { CloudError, isCloudError } from '../../../contract/errors.ts';
import { agree, hostProtocol, type ProtocolRange } from '../../../contract/host/index.ts';
import { type HostId, newOrderedId } from '../../../contract/ids.ts';
import type { Secret } from '../../../contract/secret.ts';
import { cloudActor, type Database, type Queryable, type Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import type { HostEndpoint } from '../answers.ts';
import type { HostClient } from '../client.ts';
import { findHost, listEndpoints } from '../store.ts';
import { callBack } from './call-back.ts';
import type { HostTokenTable } from './tables.ts';
import { sha256 } from './token.ts';

/** By which another clock may be off: tokens, leases and deadlines are told in one machine's time and judged in another's. */
const clockMs = 5000;

/** That a machine tries before it joins: each takes three seconds where it does not answer. */
const mostTunnels = 4;

export interface JoinWish {
  secret: Secret;
  name: string;
  /** Where control and other hosts reach its service. */
  address: string;
  hostPort: number;
  /** What it says to who calls back there. */
  word: string;
  /** PKCS #10, in PEM. */
  csr: string;
  /** Its clock, in milliseconds since 1970. */
  now: number;
  version: string;
  protocol: ProtocolRange;
}

export interface Joined {
  hostId: HostId;
  name: string;
  cloudId: string;
  /** PEM texts. */
  certificate: string;
  ca: string;
  /** The port of the southbound database, at the address where control was reached. */
  southboundPort: number;
}

export interface JoinOptions {
  database: Database;
  client: Pick<HostClient, 'certify'>;
  /** The host that has the cloud's authority beside it. */
  authority: HostEndpoint;
  cloudId: string;
  version: string;
  southboundPort: number;
}

type TokenRow = HostTokenTable & { over: boolean };

export class JoinService {
  readonly #options: JoinOptions;

  constructor(options: JoinOptions) {
    this.#options = options;
  }

  /** @throws CloudError `unauthenticated`, `invalid`, `conflict`, `unavailable` */
  async join(wish: JoinWish): Promise<Joined> {
    const { database, cloudId, southboundPort } = this.#options;
    const token = await findToken(database.query, wish);
    if (token.used_at) {
      // A machine that has the word of a former try asks for what it has. Only the address is tried again: it comes into the certificate.
      await this.#tryAddress(wish, token.used_by);
    } else {
      try {
        await this.#check(wish);
      } catch (error) {
        // What is taken may have been taken by another request of this very machine.
        if (!(await findToken(database.query, wish)).used_at) throw error;
        return this.join(wish);
      }
    }
    const hostId = (token.used_by as HostId | null) ?? newOrderedId<HostId>();
    const signed = await this.#certify(hostId, { csr: wish.csr, addresses: [wish.address] });
    const key = keyOf(signed.certificate);
    const made = await database.transaction(cloudActor, (tx) => useUp(tx, wish, { hostId, key }));
    // Two requests of one machine met: the other was faster, and its host is the one.
    if (made.id !== hostId) return this.join(wish);
    return { hostId, name: made.name, cloudId, southboundPort, ...signed };
  }

  /**
   * Where tunnels of some hosts end, for a machine that tries them before it joins: the ones that have been here for longest, the first machine among them. The token
   * stays what it was; who has none that is good, or whose is used, is told of no host, and hears why when it joins.
   */
  async tunnels(wish: Pick<JoinWish, 'secret' | 'name'>): Promise<{ host: string; address: string; mtu: number }[]> {
    const { query } = this.#options.database;
    const token = await findToken(query, wish).catch((error) => {
      if (!isCloudError(error)) throw error;
      return undefined;
    });
    // Of one that is used the machine that has its word has tried them before.
    if (!token || token.used_at) return [];
    const { rows } = await sql<{ host: string; address: string; mtu: number }>`
      select name as host, facts #>> '{tunnels,address}' as address, (facts #>> '{tunnels,mtu}')::integer as mtu from host
      where connected and facts ? 'tunnels' order by created_at, id limit ${mostTunnels}`.execute(query);
    return rows;
  }

  /**
   * A new certificate for a host that is known.
   * @param wish addresses: those of the certificate before, which were tried when it joined. What the host says of itself since would let one that is
   *   in wrong hands have a certificate for control's own.
   * @throws CloudError `not_found`, `invalid`, `unavailable`
   */
  async renew(
    hostId: HostId,
    wish: { csr: string; addresses: string[] },
  ): Promise<{ certificate: string; ca: string }> {
    if (!(await findHost(this.#options.database.query, hostId))) throw notFound('host', hostId);
    return this.#certify(hostId, wish);
  }

  async #check(wish: JoinWish): Promise<void> {
    const { version, protocol, now } = wish;
    if (agree(hostProtocol, { protocol: protocol.highest, lowestProtocol: protocol.lowest }) === undefined) {
      throw new CloudError('conflict', 'host_join_version_unfit', { version, own: this.#options.version });
    }
    const offset = Math.round(now - Date.now());
    if (Math.abs(offset) > clockMs) throw new CloudError('conflict', 'host_join_clock_off', { offset_ms: offset });
    await requireNewName(this.#options.database.query, wish);
    await this.#tryAddress(wish, null);
  }

  /** @param self the host that may have it already */
  async #tryAddress({ address, hostPort, word }: JoinWish, self: string | null): Promise<void> {
    await requireNewAddress(this.#options.database.query, address, self);
    const why = await callBack({ address, port: hostPort, word });
    if (why !== undefined) {
      throw new CloudError('conflict', 'host_join_address_not_reached', { address, port: hostPort, why });
    }
  }

  #certify(hostId: HostId, wish: { csr: string; addresses: string[] }) {
    const { client, authority } = this.#options;
    return client.certify(authority, { hostId, ...wish });
  }
}

async function findToken(db: Queryable, { secret, name }: Pick<JoinWish, 'secret' | 'name'>): Promise<TokenRow> {
  const { rows } = await sql<TokenRow>`select *, expires_at <= now() as over from host_token
    where secret_sha256 = ${sha256(secret.reveal())}`.execute(db);
  const [row] = rows;
  const refuse = (why: 'unknown' | 'expired' | 'used' | 'name') =>
    new CloudError('unauthenticated', 'host_token_refused', { why, name: why === 'name' ? row!.host_name : null });
  if (!row) throw refuse('unknown');
  if (row.used_at && !row.used_by) throw refuse('used');
  if (!row.used_at && row.over) throw refuse('expired');
  if (row.host_name !== null && row.host_name !== name) throw refuse('name');
  return row;
}

/** @throws CloudError `conflict` where it is another host's */
async function requireNewName(db: Queryable, { name }: JoinWish): Promise<void> {
  const { rows } = await sql`select from host where name = ${name}`.execute(db);
  if (rows.length > 0) throw new CloudError('conflict', 'host_join_name_taken', { name });
}

/** @throws CloudError `conflict` where it is that of another host than this one */
async function requireNewAddress(db: Queryable, address: string, self: string | null): Promise<void> {
  const other = (await listEndpoints(db)).find(
    ({ id, url }) => id !== self && URL.canParse(url) && hostnameOf(url) === address,
  );
  if (other) throw new CloudError('conflict', 'host_join_address_taken', { address, host: other.id });
}

/** The host that the token has made, with the name that it was made with, or makes now. */
async function useUp(
  tx: Tx,
  wish: JoinWish,
  { hostId, key }: { hostId: HostId; key: string },
): Promise<{ id: HostId; name: string }> {
  await sql`select from host_token where secret_sha256 = ${sha256(wish.secret.reveal())} for update`.execute(tx);
  // What it is now is read after the lock, by a statement of its own.
  const token = await findToken(tx, wish);
  if (token.used_by) {
    if (token.used_key_sha256 !== key)
      throw new CloudError('unauthenticated', 'host_token_refused', { why: 'used', name: null });
    const { rows } = await sql<{
      id: HostId;
      name: string;
    }>`select id, name from host where id = ${token.used_by}`.execute(tx);
    return rows[0]!;
  }
  await requireNewName(tx, wish);
  await requireNewAddress(tx, wish.address, null);
  // Of its networks it tells in its hello; until then it carries nobody's way out.
  const { rows } = await sql`insert into host (id, name, physical_networks) values (${hostId}, ${wish.name}, '{}')
    on conflict do nothing returning id`.execute(tx);
  if (rows.length === 0) throw new CloudError('conflict', 'host_join_name_taken', { name: wish.name });
  await sql`update host_token set used_at = now(), used_by = ${hostId}, used_key_sha256 = ${key}, generation = generation + 1,
    updated_at = now() where id = ${token.id}`.execute(tx);
  return { id: hostId, name: wish.name };
}

const keyOf = (certificate: string): string =>
  createHash('sha256')
    .update(new X509Certificate(certificate).publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex');

const hostnameOf = (url: string): string => new URL(url).hostname.replace(/^\[|\]$/g, '');
