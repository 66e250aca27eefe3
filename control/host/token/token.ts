/**
 * Tokens that a machine joins with: made, listed and taken back by administrators. The database has the SHA-256 of the secret alone; the
 * text is told once. What becomes of one is join.ts.
 */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { sql } from 'kysely';
import { newId, parseId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { type Actor, cloudActor, type Database } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';

const lifeMinutes = 60;
const prefix = 'bothy-join-';

export interface HostToken {
  id: string;
  host_name: string | null;
  created_at: Date;
  expires_at: Date;
  used_at: Date | null;
  /** The host that it made; null: none yet, or it has gone. */
  used_by: string | null;
}

const columns = sql`id, host_name, created_at, expires_at, used_at, used_by`;

/** One text of the secret (32 bytes) and the SHA-256 of the cloud's root certificate, so that whoever has it knows whom to tell it. */
const tokenText = (secret: Buffer, fingerprint: Buffer): string =>
  `${prefix}${Buffer.concat([secret, fingerprint]).toString('base64url')}`;

/** Undefined where the text is no token. */
export function parseToken(text: string): { secret: Secret<string>; fingerprint: string } | undefined {
  const match = new RegExp(`^${prefix}([\\w-]{86})$`).exec(text.trim());
  if (!match) return undefined;
  const bytes = Buffer.from(match[1]!, 'base64url');
  return {
    secret: new Secret(bytes.subarray(0, 32).toString('base64url')),
    fingerprint: bytes.subarray(32).toString('hex'),
  };
}

export const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

export class HostTokenService {
  readonly #database: Database;
  readonly #fingerprint: Buffer;

  /** @param options ca: the cloud's root certificate in PEM */
  constructor(options: { database: Database; ca: string }) {
    this.#database = options.database;
    this.#fingerprint = createHash('sha256').update(new X509Certificate(options.ca).raw).digest();
  }

  /** @param options hostName: the only name that the machine may have @throws CloudError `forbidden` */
  async create(
    caller: Caller,
    options: { hostName?: string | undefined },
  ): Promise<{ token: HostToken; text: string }> {
    requireAdmin(caller, 'let a machine join');
    return this.issue(actorOf(caller), options);
  }

  /** For whoever has proved by other means than a token that they run the cloud. */
  async issue(
    actor: Actor = cloudActor,
    { hostName }: { hostName?: string | undefined } = {},
  ): Promise<{ token: HostToken; text: string }> {
    const secret = randomBytes(32);
    const token = await this.#database.transaction(actor, async (tx) => {
      // Of those that are long over only the change log still tells.
      await sql`delete from host_token where expires_at < now() - interval '30 days' and used_by is null`.execute(tx);
      const { rows } = await sql<HostToken>`insert into host_token (id, secret_sha256, host_name, expires_at)
        values (${newId()}, ${sha256(secret.toString('base64url'))}, ${hostName ?? null}, now() + ${lifeMinutes} * interval '1 minute')
        returning ${columns}`.execute(tx);
      return rows[0]!;
    });
    return { token, text: tokenText(secret, this.#fingerprint) };
  }

  /** The newest first; those that are used or over, too. @throws CloudError `forbidden` */
  async list(caller: Caller): Promise<HostToken[]> {
    requireAdmin(caller, 'list host tokens');
    const { rows } =
      await sql<HostToken>`select ${columns} from host_token order by created_at desc, id limit 1000`.execute(
        this.#database.query,
      );
    return rows;
  }

  /** Nobody joins with it any more; a host that has joined stays. @throws CloudError `forbidden`, `not_found` */
  async remove(caller: Caller, id: string): Promise<void> {
    requireAdmin(caller, 'take a host token back');
    const known = parseId(id);
    const gone = await this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql`delete from host_token where id = ${known ?? null} returning id`.execute(tx);
      return rows.length > 0;
    });
    if (!gone) throw notFound('host_token', id);
  }
}
