/**
 * Credentials: secrets of users that the cloud can read, because it must compute with them: access keys of EC2 and S3, seeds of
 * TOTP; others are kept for whoever asks. Sealed at rest (sealing.ts). A delegated token (application credential, trust) reaches
 * those of its own project only; never a TOTP seed, whose holder logs in as the person, and no access key but those that the same
 * delegation made, for the person's own have all roles that the person has.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { newOrderedId, type ProjectId, type UserId } from '../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../kit/caller.ts';
import type { Queryable, Tx } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { notFound } from '../kit/refusal.ts';
import { type IdentityContext, refusing } from './context.ts';
import { matching } from './directory.ts';
import { isSystemReader, requireSelfOrAdministrator, requireUnrestricted } from './rights.ts';
import { type Sealer, sealBytes } from './sealing.ts';
import type { CredentialTable, Extra } from './tables.ts';

export interface Credential {
  id: string;
  user_id: UserId;
  project_id: ProjectId | null;
  type: string;
  blob: string;
  extra: Extra;
}

export interface CredentialChange {
  type?: string;
  blob?: string;
  userId?: UserId;
  projectId?: ProjectId | null;
  extra?: Extra;
}
export type NewCredential = CredentialChange & { type: string; blob: string; userId: UserId };

export interface AccessKey {
  userId: UserId;
  projectId: ProjectId;
  access: string;
  secret: string;
  trustId: string | null;
  /** Made with an application credential's token: good for what that is good for. */
  applicationCredentialId: string | null;
}

type SealedRow = Omit<Credential, 'blob'> & Pick<CredentialTable, 'sealed'>;

/** What the access keys of one token are bound to can not be changed afterwards. */
const bounds = ['trust_id', 'app_cred_id', 'access_token_id', 'access_id'];
const most = 500;

export class CredentialService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** Those of the caller; administrators and readers of the system see all. */
  async list(caller: Caller, filter: { userId?: UserId; type?: string }): Promise<Credential[]> {
    const all = isAdmin(caller) || isSystemReader(caller);
    const rows = await this.#read(
      sql`${matching({ user_id: filter.userId, type: filter.type })} and (${all} or user_id = ${caller.userId})`,
    );
    return rows.map((row) => this.#open(row)).filter((row) => inReach(caller, row));
  }

  /** @throws CloudError `not_found` also for whose it is not to see */
  async get(caller: Caller, id: string): Promise<Credential> {
    return this.#find(caller, sql`id = ${id}`, id);
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (user, project), `conflict` (access key) */
  async create(caller: Caller, wanted: NewCredential): Promise<Credential> {
    const { userId, type, projectId = null, extra = {} } = wanted;
    requireSelfOrAdministrator(caller, userId, 'identity:create_credential');
    requireReach(caller, { type, project_id: projectId });
    const id = newOrderedId();
    const { blob, hash } = isAccessKey(type)
      ? accessKeyFrom(caller, { projectId, blob: wanted.blob })
      : { blob: wanted.blob, hash: null };
    return this.#write(caller, { userId, projectId }, async (tx) => {
      // One round trip, but two statements: of several who make one the next counts it.
      const [, { rows }] = await Promise.all([
        sql`select from "user" where id = ${userId} for no key update`.execute(tx),
        sql<{ number: number }>`select count(*) as number from credential where user_id = ${userId}`.execute(tx),
      ]);
      if (rows[0]!.number >= most) throw new CloudError('forbidden', 'too_many_credentials', { maximum: most });
      await sql`insert into credential (id, user_id, project_id, type, sealed, access_hash, extra)
        values (${id}, ${userId}, ${projectId}, ${type}, ${this.#seal(blob, id)}, ${hash}, ${json(extra)})`.execute(tx);
      return { id, user_id: userId, project_id: projectId, type, blob, extra };
    });
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict` */
  async update(caller: Caller, id: string, change: CredentialChange): Promise<Credential> {
    const found = await this.#find(caller, sql`id = ${id}`, id);
    requireSelfOrAdministrator(caller, found.user_id, 'identity:update_credential');
    const userId = change.userId ?? found.user_id;
    requireSelfOrAdministrator(caller, userId, 'identity:update_credential');
    const projectId = change.projectId === undefined ? found.project_id : change.projectId;
    requireReach(caller, { type: change.type ?? found.type, project_id: projectId });
    return this.#write(caller, { userId, projectId }, async (tx) => {
      const [row] = await this.#read(sql`id = ${id}`, { tx });
      if (!row) throw notFound('credential', id);
      const before = this.#open(row);
      if (!inReach(caller, before)) throw outOfReach();
      // What is not asked for is as it is now, not as it was when it was looked for.
      const { type = before.type, blob = before.blob, userId: user_id = before.user_id } = change;
      const project_id = change.projectId === undefined ? before.project_id : change.projectId;
      requireSelfOrAdministrator(caller, user_id, 'identity:update_credential');
      requireReach(caller, { type, project_id });
      const key = isAccessKey(type)
        ? accessKeyFrom(caller, { projectId: project_id, blob, before })
        : { blob, hash: null };
      const extra = { ...before.extra, ...change.extra };
      await sql`update credential set user_id = ${user_id}, project_id = ${project_id}, type = ${type},
        sealed = ${this.#seal(key.blob, id)}, access_hash = ${key.hash}, extra = ${json(extra)} where id = ${id}`.execute(
        tx,
      );
      return { id, user_id, project_id, type, blob: key.blob, extra };
    });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, id: string): Promise<void> {
    const { user_id: userId } = await this.#find(caller, sql`id = ${id}`, id);
    requireSelfOrAdministrator(caller, userId, 'identity:delete_credential');
    await this.#context.write(actorOf(caller), async (tx) => {
      await tx.deleteFrom('credential').where('id', '=', id).execute();
    });
  }

  /** A new pair of keys. @throws CloudError `forbidden`, `not_found` (user, project) */
  async createAccessKey(caller: Caller, userId: UserId, projectId: ProjectId): Promise<AccessKey> {
    const [access, secret] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
    const blob = JSON.stringify({ access, secret, trust_id: null });
    return accessKeyOf(await this.create(caller, { userId, projectId, type: 'ec2', blob }));
  }

  /** @throws CloudError `forbidden` */
  async accessKeys(caller: Caller, userId: UserId): Promise<AccessKey[]> {
    if (!isSystemReader(caller)) requireSelfOrAdministrator(caller, userId, 'identity:ec2_list_credentials');
    return (await this.list(caller, { userId, type: 'ec2' })).map(accessKeyOf);
  }

  /** @throws CloudError `not_found` */
  async accessKey(caller: Caller, userId: UserId, access: string): Promise<AccessKey> {
    const condition = sql`access_hash = ${hashOf(access)} and user_id = ${userId}`;
    return accessKeyOf(await this.#find(caller, condition, access));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async deleteAccessKey(caller: Caller, userId: UserId, access: string): Promise<void> {
    const { id } = await this.#find(caller, sql`access_hash = ${hashOf(access)} and user_id = ${userId}`, access);
    await this.delete(caller, id);
  }

  /** For those who check signatures: the pair of an access key, whoever asks. */
  async findAccessKey(access: string): Promise<AccessKey | undefined> {
    const [row] = await this.#read(sql`access_hash = ${hashOf(access)} and type = 'ec2'`);
    return row && accessKeyOf(this.#open(row));
  }

  /** The texts of a user's credentials of a type, for whoever computes with them: strangers can ask for it, so longer ones stay where they are. */
  async textsOf(userId: UserId, type: string, { maxBytes }: { maxBytes: number }): Promise<string[]> {
    const fits = sql`octet_length(sealed) <= ${maxBytes + sealBytes}`;
    return (await this.#read(sql`user_id = ${userId} and type = ${type} and ${fits}`)).map(
      (row) => this.#open(row).blob,
    );
  }

  /** @throws CloudError `not_found` */
  async #find(caller: Caller, condition: RawBuilder<unknown>, id: string): Promise<Credential> {
    const [row] = await this.#read(condition);
    const may = row && (isAdmin(caller) || isSystemReader(caller) || row.user_id === caller.userId);
    if (!may) throw notFound('credential', id);
    const found = this.#open(row);
    if (!inReach(caller, found)) throw outOfReach();
    return found;
  }

  async #read(condition: RawBuilder<unknown>, { tx }: { tx?: Tx } = {}): Promise<SealedRow[]> {
    const db: Queryable = tx ?? this.#context.query;
    const { rows } = await sql<SealedRow>`select id, user_id, project_id, type, sealed, extra from credential
      where ${condition} order by id ${tx ? sql`for update` : sql``}`.execute(db);
    return rows;
  }

  #write<T>(
    caller: Caller,
    to: { userId: UserId; projectId: ProjectId | null },
    work: (tx: Tx) => Promise<T>,
  ): Promise<T> {
    const refusals = {
      credential_user_id_fkey: () => notFound('user', to.userId),
      credential_project_id_fkey: () => notFound('project', to.projectId ?? ''),
      credential_access_hash_key: () => new CloudError('conflict', 'access_key_taken', {}),
    };
    return refusing(refusals, () => this.#context.write(actorOf(caller), work));
  }

  #seal(blob: string, id: string): Buffer {
    return this.#context.sealer.seal(blob, `credential ${id}`);
  }

  #open({ sealed, ...row }: SealedRow): Credential {
    return { ...row, blob: this.#context.sealer.open(sealed, `credential ${row.id}`) };
  }
}

/** The row of an access key that nobody asked for: of a new cloud. */
export async function keepAccessKey(
  tx: Tx,
  key: { id: string; userId: UserId; projectId: ProjectId; access: string; blob: string; sealer: Sealer },
): Promise<void> {
  const { id, userId, projectId, access, blob, sealer } = key;
  await sql`insert into credential (id, user_id, project_id, type, sealed, access_hash, extra)
    values (${id}, ${userId}, ${projectId}, 'ec2', ${sealer.seal(blob, `credential ${id}`)}, ${hashOf(access)}, '{}')`.execute(
    tx,
  );
}

const isAccessKey = (type: string): boolean => type.toLowerCase() === 'ec2';
const hashOf = (access: string): string => createHash('sha256').update(access).digest('hex');
const outOfReach = () => new CloudError('forbidden', 'credential_outside_delegation', {});

const isDelegated = ({ applicationCredential, trustId }: Caller): boolean =>
  applicationCredential !== null || trustId !== undefined;

/** May the caller's token reach a credential of this type and project? What an access key is bound to is another question. */
const mayReach = (caller: Caller, { type, project_id }: Pick<Credential, 'type' | 'project_id'>): boolean =>
  !isDelegated(caller) || (project_id === caller.projectId && type.toLowerCase() !== 'totp');

/** @throws CloudError `forbidden` */
function requireReach(caller: Caller, credential: Pick<Credential, 'type' | 'project_id'>): void {
  if (!mayReach(caller, credential)) throw outOfReach();
}

function inReach(caller: Caller, credential: Credential): boolean {
  if (!mayReach(caller, credential)) return false;
  if (!isDelegated(caller) || !isAccessKey(credential.type)) return true;
  const { applicationCredentialId, trustId } = accessKeyOf(credential);
  const { app_cred_id = null, trust_id = null } = boundTo(caller);
  return applicationCredentialId === app_cred_id && trustId === trust_id;
}

/** What an access key that is made with a delegated token is bound to. */
const boundTo = ({ applicationCredential, trustId }: Caller): { app_cred_id?: string; trust_id?: string } => ({
  ...(applicationCredential ? { app_cred_id: applicationCredential.id } : {}),
  ...(trustId === undefined ? {} : { trust_id: trustId }),
});

type AccessKeyDocument = Record<string, unknown> & { access: string };

/** @throws CloudError `invalid` */
function readAccessKey(blob: string): AccessKeyDocument {
  let document: unknown;
  try {
    document = JSON.parse(blob);
  } catch {
    throw new CloudError('invalid', 'access_key_malformed', {});
  }
  const access =
    document !== null && typeof document === 'object' ? (document as { access?: unknown }).access : undefined;
  if (typeof access !== 'string' || access === '') throw new CloudError('invalid', 'access_key_malformed', {});
  return document as AccessKeyDocument;
}

/**
 * A credential that is or becomes an access key, as it is kept. One that was none before is bound to the token that makes it one.
 * @throws CloudError `forbidden`, `invalid`
 */
function accessKeyFrom(
  caller: Caller,
  { projectId, blob, before }: { projectId: ProjectId | null; blob: string; before?: Credential },
): { blob: string; hash: string } {
  requireUnrestricted(caller, 'create_credential');
  if (!projectId) throw new CloudError('invalid', 'access_key_without_project', {});
  const document = readAccessKey(blob);
  const hash = hashOf(document.access);
  if (!before || !isAccessKey(before.type)) return { blob: JSON.stringify({ ...document, ...boundTo(caller) }), hash };
  const old = readAccessKey(before.blob);
  for (const key of bounds) {
    if ((old[key] ?? null) !== (document[key] ?? null))
      throw new CloudError('invalid', 'access_key_bound', { attribute: key });
  }
  return { blob, hash };
}

function accessKeyOf({ user_id: userId, project_id: projectId, blob }: Credential): AccessKey {
  const document = readAccessKey(blob) as AccessKeyDocument & {
    secret?: string;
    trust_id?: string;
    app_cred_id?: string;
  };
  return {
    ...{ userId, projectId: projectId!, access: document.access, secret: String(document.secret ?? '') },
    trustId: document.trust_id ?? null,
    applicationCredentialId: document.app_cred_id ?? null,
  };
}
