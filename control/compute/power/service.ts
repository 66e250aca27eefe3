/**
 * BMCs of hosts, as administrators say them: where a machine is turned off and on when it does not hear itself any more. A password is sealed with its row, told to the address that it
 * was said for and to nobody else, and shown never. Nothing here turns a machine off.
 */
import { X509Certificate } from 'node:crypto';
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { BmcError, type PowerState, type ServiceProcessor } from '../../../protocols/bmc/index.ts';
import { longestPassword, longestUser } from '../../../protocols/ipmi/index.ts';
import { presentedFingerprint } from '../../../protocols/redfish/index.ts';
import type { Sealer } from '../../identity/index.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Actor, Database, Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { lockPlacement } from '../placement/index.ts';
import { type BmcAccess, bmcAccess, isIpmi, isSameMachine, isTheHost, openBmc, sealedFor } from './opening.ts';
import type { BmcAccepted } from './proven.ts';
import type { HostBmcRow } from './tables.ts';

/** What is said of a BMC. */
export interface BmcWish {
  /** `https://NAME[:PORT]`: Redfish; `ipmi://NAME[:PORT]`: IPMI 2.0. */
  url: string;
  user: string;
  /** Absent: the one that was said for this address and this trust before. */
  password?: string | undefined;
  /** Of Redfish: SHA-256 of its certificate, in hexadecimal digits, or the certificate of the authority that signed it, in PEM. With IPMI who answers proves that they know the password. */
  trust?: { fingerprint256: string } | { ca: string } | undefined;
  system?: string | null | undefined;
  /** A host that is lost is turned off by it. */
  fences?: boolean | undefined;
}

/** Without the password. */
export type Bmc = Omit<HostBmcRow, 'sealed' | 'wake_seconds'>;

/** What a BMC says now. */
export interface BmcTest {
  power: PowerState;
  system: string;
  label: string;
  uuid: string | null;
  watts: number | null;
  /** Null: the machine or its BMC does not say which one it is. */
  same_machine: boolean | null;
}

/** on; off: in order, of a host that is closed and empty; force_off: at once, with all that runs there. */
export type PowerAction = 'on' | 'off' | 'force_off';

const resets = { on: 'On', off: 'GracefulShutdown', force_off: 'ForceOff' } as const;

const publicColumns = sql`host_id, url, user_name, fingerprint256, ca, system, fences, contradicted_at, accepted,
  generation, created_at, updated_at`;
const lookMs = 5000;

export class BmcService {
  readonly #database: Database;
  readonly #sealer: Sealer;

  constructor(options: { database: Database; sealer: Sealer }) {
    this.#database = options.database;
    this.#sealer = options.sealer;
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, hostId: string): Promise<Bmc> {
    requireAdmin(caller, 'show the BMC of a host');
    const { rows } = await sql<Bmc>`select ${publicColumns} from host_bmc
      where host_id = ${parseId(hostId) ?? null}::uuid`.execute(this.#database.query);
    if (!rows[0]) throw notFound('host_bmc', hostId);
    return rows[0];
  }

  /**
   * Replaces what was said before, and lets it be believed anew. Nothing is asked of it but, where nobody says by what it is known, its certificate.
   * @throws CloudError `forbidden`, `not_found`, `invalid`; `conflict` with the certificate that it presents where no trust is said
   */
  async set(caller: Caller, id: string, wish: BmcWish): Promise<Bmc> {
    requireAdmin(caller, 'set the BMC of a host');
    const hostId = parseId(id);
    if (!hostId) throw notFound('host', id);
    const url = addressOf(wish.url);
    const trust = isIpmi(url) ? trustOfIpmi(wish) : await this.#trust(hostId, url, wish);
    const told = { ...wish, url, ...trust };
    await this.#database.transaction(actorOf(caller), (tx) => this.#write(tx, hostId, told));
    return this.get(caller, hostId);
  }

  async #trust(hostId: string, url: string, { trust }: BmcWish): Promise<Pick<BmcAccess, 'fingerprint256' | 'ca'>> {
    if (trust) return checked(trust);
    const before = await bmcAccess(this.#database.query, hostId);
    if (before?.url === url) return before;
    throw await this.#trustMissing(url);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async remove(caller: Caller, id: string): Promise<void> {
    requireAdmin(caller, 'remove the BMC of a host');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { numAffectedRows } = await sql`delete from host_bmc where host_id = ${parseId(id) ?? null}::uuid`.execute(
        tx,
      );
      if (numAffectedRows !== 1n) throw notFound('host_bmc', id);
    });
  }

  /** Asks it what it says, and changes nothing. @throws CloudError `forbidden`, `not_found`, `conflict` with why it is of no use */
  async test(caller: Caller, id: string): Promise<BmcTest> {
    requireAdmin(caller, 'test the BMC of a host');
    const access = await this.#access(id);
    return this.#ask(access, async (bmc) => {
      const system = await bmc.system();
      const { path, power, label } = system;
      const watts = (await bmc.watts()) ?? null;
      const same_machine = isSameMachine(system, access.machine_uuid) ?? null;
      const uuid = same_machine ? access.machine_uuid : system.uuid;
      return { power, system: path, label, uuid, watts: watts === null ? null : Math.round(watts), same_machine };
    });
  }

  /**
   * The caller's word that the machine behind it is the host, where one of both tells no UUID: from then on it turns that off, and its word is evidence. Of the system as it is now.
   * @throws CloudError `forbidden`, `not_found`, `conflict` where its UUID is another's, or it is of no use
   */
  async accept(caller: Caller, id: string): Promise<Bmc> {
    requireAdmin(caller, 'accept the BMC of a host');
    const access = await this.#access(id);
    const system = await this.#ask(access, (bmc) => bmc.system());
    const { path, label, uuid } = system;
    if (isSameMachine(system, access.machine_uuid) === false)
      throw new CloudError('conflict', 'bmc_of_another_machine', { host: access.host_name, uuid: uuid ?? '' });
    const accepted: BmcAccepted = {
      ...{ user_id: caller.userId, user_name: caller.userName, at: new Date().toISOString() },
      ...{ system: path, label },
    };
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { numAffectedRows } =
        await sql`update host_bmc set accepted = ${JSON.stringify(accepted)}::jsonb, generation = generation + 1, updated_at = now()
        where host_id = ${access.host_id} and url = ${access.url} and fingerprint256 is not distinct from ${access.fingerprint256}
          and ca is not distinct from ${access.ca}`.execute(tx);
      if (numAffectedRows !== 1n) throw notFound('host_bmc', id);
    });
    return this.get(caller, access.host_id);
  }

  /**
   * Asks it once; whether it comes to that is to be looked at ({@link test}).
   * @returns what it says to that
   * @throws CloudError `forbidden`, `not_found`, `conflict` where nothing shows that the machine is the host, or servers would end, or might come to it
   */
  async power(caller: Caller, id: string, action: PowerAction): Promise<string> {
    requireAdmin(caller, 'turn a host on or off');
    const access = await this.#access(id);
    if (action === 'off') await this.#requireEmpty(actorOf(caller), access);
    return this.#ask(access, async (bmc) => {
      const system = await bmc.system();
      if (!isTheHost(system, access)) throw new CloudError('conflict', 'bmc_unproven', { host: access.host_name });
      return bmc.reset(resets[action], { system });
    });
  }

  /** And closed: it takes a while to go off, and would get new ones meanwhile. @throws CloudError `conflict` */
  #requireEmpty(actor: Actor, { host_id: id, host_name: host }: BmcAccess): Promise<void> {
    return this.#database.transaction(actor, async (tx) => {
      // Who has decided before that one comes has written it down by then.
      await lockPlacement(tx);
      const { rows } = await sql<{ servers: number; enabled: boolean }>`select enabled, (select count(*)::integer from (
          select id from server where host_id = h.id union select server_id from server_migration where other_host_id = h.id
          union select server_id from server_claim where host_id = h.id) own) as servers
        from host h where id = ${id}`.execute(tx);
      const [found] = rows;
      if (!found) throw notFound('host', id);
      const { servers, enabled } = found;
      if (servers > 0) throw new CloudError('conflict', 'host_power_off_with_servers', { host, servers });
      if (enabled) throw new CloudError('conflict', 'host_power_off_open', { host });
    });
  }

  async #access(id: string): Promise<BmcAccess> {
    const hostId = parseId(id);
    const access = hostId && (await bmcAccess(this.#database.query, hostId));
    if (!access) throw notFound('host_bmc', id);
    return access;
  }

  async #ask<T>(access: BmcAccess, work: (bmc: ServiceProcessor) => Promise<T>): Promise<T> {
    try {
      await using bmc = openBmc(access, this.#sealer, lookMs);
      return await work(bmc);
    } catch (error) {
      throw unusable(error);
    }
  }

  async #write(tx: Tx, hostId: string, wish: BmcWish & Pick<BmcAccess, 'fingerprint256' | 'ca'>): Promise<void> {
    const { url, user, password, fingerprint256, ca, system = null, fences = true } = wish;
    const { rows } = await sql<{ name: string }>`select name from host where id = ${hostId} for key share`.execute(tx);
    if (!rows[0]) throw notFound('host', hostId);
    const before = await bmcAccess(tx, hostId);
    const known = before?.url === url && before.fingerprint256 === fingerprint256 && before.ca === ca;
    if (password === undefined && !known)
      throw new CloudError('invalid', 'bmc_password_missing', { host: rows[0].name });
    const sealed = password === undefined ? before!.sealed : this.#sealer.seal(password, sealedFor(hostId));
    await sql`insert into host_bmc (host_id, url, user_name, sealed, fingerprint256, ca, system, fences)
      values (${hostId}, ${url}, ${user}, ${sealed}, ${fingerprint256}, ${ca}, ${system}, ${fences})
      on conflict (host_id) do update set url = excluded.url, user_name = excluded.user_name, sealed = excluded.sealed,
        fingerprint256 = excluded.fingerprint256, ca = excluded.ca, system = excluded.system, fences = excluded.fences,
        contradicted_at = null, accepted = case when ${known} then host_bmc.accepted end, generation = host_bmc.generation + 1, updated_at = now()`.execute(
      tx,
    );
  }

  async #trustMissing(url: string): Promise<CloudError> {
    try {
      const fingerprint256 = await presentedFingerprint(url, lookMs);
      return new CloudError('conflict', 'bmc_trust_missing', { url, fingerprint256 });
    } catch (error) {
      return unusable(error);
    }
  }
}

/** @throws CloudError `invalid` */
function addressOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plainly = url && url.username + url.password + url.search + url.hash === '' && /^\/?$/.test(url.pathname);
  if (plainly && url.protocol === 'https:') return url.origin;
  if (
    plainly &&
    url.protocol === 'ipmi:' &&
    /^([\w.-]+|\[[\da-f:.]+\])$/i.test(url.hostname) &&
    !url.hostname.startsWith('-')
  )
    return `ipmi://${url.host.toLowerCase()}`;
  throw new CloudError('invalid', 'bmc_address_unserved', { scheme: url ? url.protocol.replace(/:$/, '') : '' });
}

/** There are no certificates, one system, and little room for names. @throws CloudError `invalid` */
function trustOfIpmi({ user, password = '', trust, system = null }: BmcWish): Pick<BmcAccess, 'fingerprint256' | 'ca'> {
  const field = trust ? Object.keys(trust)[0]! : system === null ? undefined : 'system';
  if (field !== undefined) throw new CloudError('invalid', 'bmc_field_of_redfish', { field });
  for (const [name, value, most] of [
    ['user', user, longestUser],
    ['password', password, longestPassword],
  ] as const)
    if (Buffer.byteLength(value) > most) throw new CloudError('invalid', 'bmc_field_too_long', { field: name, most });
  return { fingerprint256: null, ca: null };
}

/** @throws CloudError `invalid` */
function checked(trust: NonNullable<BmcWish['trust']>): Pick<BmcAccess, 'fingerprint256' | 'ca'> {
  if ('fingerprint256' in trust)
    return { fingerprint256: trust.fingerprint256.replaceAll(':', '').toLowerCase(), ca: null };
  try {
    const certificate = new X509Certificate(trust.ca);
    return { fingerprint256: null, ca: certificate.toString() };
  } catch (error) {
    throw new CloudError('invalid', 'bmc_ca_malformed', { why: (error as Error).message.slice(0, 100) });
  }
}

function unusable(error: unknown): CloudError {
  if (error instanceof BmcError)
    return new CloudError('conflict', 'bmc_unusable', { kind: error.kind, why: error.message }, { cause: error });
  throw error;
}
