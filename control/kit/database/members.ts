/**
 * A database of several members, one of which takes writes: `postgres://bothy:secret@one,two:5433/bothy`, as libpq writes it (with
 * `target_session_attrs=read-write`, which is meant here always). Node's client knows one address; so the members are asked which of them
 * it is, before a connection is made and whenever one could not be.
 *
 * Of two that take writes the one of the higher timeline counts: it was promoted since, and what the other is told is lost. Whoever fails
 * over must see to it that the old one takes none; here is only a look every few seconds. Owns connections for as long as a question takes.
 */
import pg from 'pg';
import { Secret } from '../../../contract/secret.ts';
import { type ConnectionOptions, connectionConfig, guard, type SessionLimits, sessionLimits } from './connection.ts';

/** A member that does not answer a question within this is passed over. */
const questionLimits: SessionLimits = {
  idleInTransactionMs: 1000,
  lockMs: 1000,
  statementMs: 1500,
  answerMs: 1500,
  connectMs: 1500,
};

const standby = 'is a standby';

/** Who asks while nobody takes writes gets the same answer for so long. */
const againMs = 250;

/** The members of a URL, each as a URL of its own; one as a rule. */
function membersOf(url: string): string[] {
  const [, scheme = '', authority = '', rest = ''] = /^([a-z]+:\/\/)([^/?#]*)(.*)$/is.exec(url) ?? [];
  const at = authority.lastIndexOf('@') + 1;
  const hosts = authority.slice(at).split(',');
  return hosts.length < 2 ? [url] : hosts.map((host) => `${scheme}${authority.slice(0, at)}${host.trim()}${rest}`);
}

/** Where one of them is. */
export interface Member {
  url: string;
  host: string;
  port: number;
}

interface Answer {
  /** Of the history that it writes, in order; undefined where it takes no writes. */
  timeline: string | undefined;
}

/** Which member takes writes, as last known. */
export class Members {
  readonly #urls: readonly string[];
  #writable: Member | undefined;
  #asking: Promise<Member> | undefined;

  private constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  /** Undefined where the URL names one address, which is always the one. */
  static of(url: Secret): Members | undefined {
    const urls = membersOf(url.reveal());
    return urls.length > 1 ? new Members(urls) : undefined;
  }

  /** @throws where none of them takes writes now; as unavailable as a database that refuses connections */
  find(): Promise<Member> {
    return this.#writable ? Promise.resolve(this.#writable) : this.look();
  }

  /** Asks all anew. @throws as {@link find} */
  look(): Promise<Member> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** It could not be reached, or takes no writes any more. */
  doubt(member: Member): void {
    if (this.#writable?.url === member.url) this.#writable = undefined;
  }

  async #ask(): Promise<Member> {
    const before = this.#writable?.url;
    const answers = await Promise.all(this.#urls.map(async (url) => ({ url, ...(await timelineOf(url)) })));
    // Of equals the one that is used stays.
    const [best] = answers
      .filter(({ timeline }) => timeline !== undefined)
      .sort((a, b) => b.timeline!.localeCompare(a.timeline!) || Number(b.url === before) - Number(a.url === before));
    this.#writable = best && { url: best.url, ...addressOf(best.url) };
    if (this.#writable) return this.#writable;
    // Whoever comes meanwhile shares this answer.
    await new Promise((resolve) => setTimeout(resolve, againMs));
    const why = answers.map(({ url, why }) => `${addressOf(url).host} port ${addressOf(url).port}: ${why}`).join('; ');
    throw Object.assign(new Error(`no member of the database takes writes (${why})`), { code: 'ECONNREFUSED' });
  }
}

function addressOf(url: string): { host: string; port: number } {
  const { host, port } = new pg.Client({ connectionString: url });
  return { host, port };
}

async function timelineOf(url: string): Promise<Answer & { why?: string }> {
  try {
    const client = await connectTo({
      ...{ url: new Secret(url), applicationName: 'bothy: who takes writes', limits: questionLimits },
    });
    try {
      const { rows } = await client.query(
        `select case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline`,
      );
      const timeline = (rows[0].timeline as string | null) ?? undefined;
      return timeline === undefined ? { timeline, why: standby } : { timeline };
    } finally {
      await client.end();
    }
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    return { timeline: undefined, why: message || code || 'does not answer' };
  }
}

/** How each of several members is, for people; none where there is one. */
export async function membersNow(url: Secret): Promise<{ address: string; state: string; ok: boolean }[]> {
  const urls = membersOf(url.reveal());
  if (urls.length < 2) return [];
  return Promise.all(
    urls.map(async (each) => {
      const { host, port } = addressOf(each);
      const { timeline, why = 'takes writes' } = await timelineOf(each);
      return { address: `${host} port ${port}`, state: why, ok: timeline !== undefined || why === standby };
    }),
  );
}

/** A connection of one's own, to the member that takes writes. The caller ends it. */
export async function connect(options: ConnectionOptions): Promise<pg.Client> {
  const member = await Members.of(options.url)?.find();
  return connectTo(member ? { ...options, url: new Secret(member.url) } : options);
}

async function connectTo(options: ConnectionOptions): Promise<pg.Client> {
  const client = new pg.Client(connectionConfig(options));
  // Whoever uses it hears of its loss by the statement that fails, or by 'end'.
  client.on('error', () => {});
  await client.connect();
  guard(client, options.limits ?? sessionLimits);
  return client;
}

type Connecting = pg.Client & {
  host: string;
  port: number;
  connection: {
    stream: { destroy(error: Error): void };
    on(event: 'parameterStatus', listener: (status: ParameterStatus) => void): void;
  };
};
interface ParameterStatus {
  parameterName: string;
  parameterValue: string;
}

/** What pg.Pool takes. Of several members each connection goes to the one that takes writes when it is made. */
export function poolConfig(options: ConnectionOptions, members: Members | undefined): pg.PoolConfig {
  if (!members) return connectionConfig(options);
  const [any] = membersOf(options.url.reveal());
  return { ...connectionConfig({ ...options, url: new Secret(any!) }), Client: memberClient(members) } as pg.PoolConfig;
}

/**
 * Ends the connections to a member when another has been promoted beside it: to one that is frozen, or that its fail-over has forgotten. Owns a
 * timer; the connections are their pools'.
 */
export class MemberWatch {
  readonly #members: Members;
  readonly #clients = new Set<Connecting>();
  readonly #listeners = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;

  constructor(members: Members, { lookMs = 3000 }: { lookMs?: number } = {}) {
    this.#members = members;
    this.#timer = setInterval(() => void this.#look(), lookMs).unref();
  }

  follow(pool: pg.Pool): void {
    pool.on('connect', (client) => this.#clients.add(client as unknown as Connecting));
    pool.on('remove', (client) => this.#clients.delete(client as unknown as Connecting));
  }

  /** Called when it has. */
  onMoved(listener: () => void): void {
    this.#listeners.add(listener);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    // Where none takes writes those that there are may do so again.
    const member = await this.#members.look().catch(() => undefined);
    if (!member) return;
    const elsewhere = [...this.#clients].filter(({ host, port }) => host !== member.host || port !== member.port);
    for (const client of elsewhere) {
      this.#clients.delete(client);
      const error = new Error('another member of the database takes the writes by now');
      client.connection.stream.destroy(Object.assign(error, { code: 'ECONNRESET' }));
    }
    if (elsewhere.length > 0) for (const listener of this.#listeners) listener();
  }
}

function memberClient(members: Members): typeof pg.Client {
  return class MemberClient extends pg.Client {
    override connect(): Promise<MemberClient>;
    override connect(callback: (error: Error) => void): void;
    override connect(callback?: (error: Error) => void): Promise<MemberClient> | undefined {
      const connected = this.#connect();
      if (!callback) return connected;
      connected.then(() => callback(null as unknown as Error), callback);
      return undefined;
    }

    async #connect(): Promise<MemberClient> {
      const member = await members.find();
      const self = this as unknown as Connecting;
      self.host = member.host;
      self.port = member.port;
      let standby = false;
      self.connection.on('parameterStatus', ({ parameterName: name, parameterValue: value }) => {
        if (name === 'in_hot_standby') standby = value === 'on';
      });
      try {
        await super.connect();
      } catch (error) {
        members.doubt(member);
        throw error;
      }
      if (!standby) return this;
      members.doubt(member);
      await this.end();
      throw Object.assign(new Error(`${member.host} is a standby by now`), { code: 'ECONNREFUSED' });
    }
  };
}
