/**
 * Consoles of servers: a token that opens one once, and the way to the host that has it. Whoever may use a server gets tokens; whoever
 * has one needs nothing else, for a browser has no other proof. Owns console_token; a token ends when it is used, with its time, with
 * its server. If the process dies, the consoles that it relayed end, and a token was used or was not.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { ConsoleKind } from '../../../contract/host/index.ts';
import type { ServerId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import type { HostEndpoint } from '../../host/index.ts';
import { actorOf, type Caller, isAdmin, requireAdmin, requireProjectMember } from '../../kit/caller.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { hostOfServer, requireConsole } from '../server/index.ts';

/** Part of HostClient (control/host). */
export interface ConsoleHosts {
  console(host: HostEndpoint, id: ServerId, kind: ConsoleKind): Promise<Duplex>;
}

export interface ConsoleServiceOptions {
  database: Database;
  hosts: ConsoleHosts;
  /** How long a token waits to be used; ten minutes, as Nova's. */
  tokenLifetimeMs?: number;
}

/** Of one server: whoever asks for more in ten minutes does not use them. */
const maxTokens = 32;

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export class ConsoleService {
  readonly #options: ConsoleServiceOptions;

  constructor(options: ConsoleServiceOptions) {
    this.#options = options;
  }

  /**
   * A token that opens the console once. Those that nobody used in time go on this occasion, and the oldest of a server's too many.
   * @throws CloudError `not_found`, `forbidden`, `conflict` where no guest runs
   */
  async issue(caller: Caller, id: ServerId, kind: ConsoleKind): Promise<Secret<string>> {
    const { database, tokenLifetimeMs = 600_000 } = this.#options;
    if (!isAdmin(caller)) requireProjectMember(caller, 'use a server’s console');
    await requireConsole(database, caller, id);
    const token = randomBytes(32).toString('base64url');
    await database.transaction(actorOf(caller), async (tx) => {
      await sql`delete from console_token where expires_at < now() or digest = any(array(select digest from console_token
        where server_id = ${id} order by created_at desc offset ${maxTokens - 1}))`.execute(tx);
      await sql`insert into console_token (digest, server_id, kind, expires_at)
        values (${digestOf(token)}, ${id}, ${kind}, now() + ${tokenLifetimeMs} * interval '1 millisecond')`.execute(tx);
    });
    return new Secret(token);
  }

  /** What a token opens; it stays good. @throws CloudError `forbidden`, `not_found` */
  async find(caller: Caller, token: string): Promise<{ serverId: ServerId; kind: ConsoleKind; host: HostEndpoint }> {
    requireAdmin(caller, 'look up console tokens');
    const { query } = this.#options.database;
    const { rows } = await sql<{ server_id: ServerId; kind: ConsoleKind }>`
      select server_id, kind from console_token where digest = ${digestOf(token)} and expires_at > now()`.execute(
      query,
    );
    if (!rows[0]) throw new CloudError('not_found', 'console_token_unknown', {});
    const { server_id: serverId, kind } = rows[0];
    return { serverId, kind, host: await hostOfServer(this.#options.database, serverId) };
  }

  /**
   * Opens the console that the token is for, and uses the token up.
   * @throws CloudError `unauthenticated` where it opens no such console, `conflict` where no guest runs, `unavailable`
   */
  async open(kind: ConsoleKind, token: string): Promise<Duplex> {
    const { database, hosts } = this.#options;
    const { rows } = await database.transaction(cloudActor, (tx) =>
      sql<{ server_id: ServerId }>`delete from console_token
        where digest = ${digestOf(token)} and kind = ${kind} and expires_at > now() returning server_id`.execute(tx),
    );
    if (!rows[0]) throw new CloudError('unauthenticated', 'console_token_refused', {});
    const { server_id: id } = rows[0];
    return hosts.console(await hostOfServer(database, id), id, kind);
  }
}
