/** An object store in a fresh database, over a host's disks that are this process's memory, on the wire (contract/host/object.ts). For tests. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { sql } from 'kysely';
import { pino } from 'pino';
import { type HostId, newOrderedId, type ProjectId, type UserId } from '../../contract/ids.ts';
import { http } from '../../contract/node-http.ts';
import { checksumOf } from '../../protocols/checksum/index.ts';
import { testAuthority } from '../../test/support/certificates.ts';
import { collect } from '../../test/support/collect.ts';
import { HostClient, registerHost } from '../host/index.ts';
import type { Caller } from '../kit/caller.ts';
import { type TestDatabase, testDatabase, testProject } from '../kit/database/testing.ts';
import type { ObjectRange, ObjectWish, OpenedObject } from './object.ts';
import { type ObjectAreaOptions, openObject } from './open.ts';

interface Stored {
  bytes: Buffer;
}

/** A host's disks in memory: by `disk/intent/file`, packs as what their records are. */
export class FakeDisks {
  readonly files = new Map<string, Buffer>();
  readonly packs = new Map<string, Map<string, Stored & { offset: number }>>();
  /** Called before a request is served; what it throws is the answer. */
  before: (method: string, path: string) => Promise<void> | void = () => {};
  names = ['default'];
  freeBytes = 2 ** 40;
  problem: string | null = null;
  requests: string[] = [];
  /** Of which disk, and what its host says. */
  faults: {
    disk: string;
    intent: string;
    file: string;
    kind: 'missing' | 'corrupt';
    offset: number;
    length: number;
  }[] = [];

  #packSize(key: string): number {
    return [...(this.packs.get(key)?.values() ?? [])].reduce((sum, { bytes }) => sum + bytes.length + 48, 0);
  }

  /** All that lies there, for assertions. */
  get blobs(): string[] {
    return [...this.files.keys(), ...[...this.packs.values()].flatMap((pack) => [...pack.keys()])];
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://host');
    this.requests.push(`${request.method} ${url.pathname}`);
    try {
      await this.before(request.method!, url.pathname);
      const answer = await this.#answer(request, url);
      if (Buffer.isBuffer(answer)) {
        response.writeHead(request.headers.range ? 206 : 200, { 'content-length': answer.length }).end(answer);
      } else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    } catch (error) {
      const { status = 500, code = 'internal' } = error as { status?: number; code?: string };
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify({ error: { code, message: String(error) } }));
    }
  }

  async #answer(request: IncomingMessage, url: URL): Promise<object | Buffer> {
    const [disk, intent, file] = ['disk', 'intent', 'file'].map((name) => url.searchParams.get(name)!);
    const at = `${disk}/${intent}`;
    const blob = /^\/v1\/objects\/blobs\/(.+)$/.exec(url.pathname)?.[1];
    const listed = /^\/v1\/objects\/intents\/(.+)$/.exec(url.pathname)?.[1];
    switch (`${request.method} ${url.pathname.split('/')[3]}`) {
      case 'GET disks':
        return {
          disks: this.names.map((name) => ({
            faults: this.faults.filter(({ disk }) => disk === name).length,
            ...{ name, path: `/${name}`, totalBytes: 2 ** 41, freeBytes: this.freeBytes, problem: this.problem },
          })),
        };
      case 'POST blobs':
        return { places: this.#append(at, await collectBody(request)) };
      case 'PUT blobs':
        return this.#file(`${at}/${blob}`, await collectBody(request), blob!, url.searchParams.get('digests')!);
      case 'GET blobs': {
        const record = this.packs.get(`${at}/${file}`)?.get(blob!);
        const bytes = record?.bytes ?? this.files.get(`${at}/${blob}`);
        if (!bytes) throw Object.assign(new Error('no such blob'), { status: 404, code: 'not_found' });
        const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
        return range ? bytes.subarray(Number(range[1]), Number(range[2]) + 1) : bytes;
      }
      case 'DELETE blobs':
        this.files.delete(`${at}/${blob}`);
        return {};
      case 'DELETE packs':
        this.packs.delete(`${at}/${file}`);
        return {};
      case 'GET intents': {
        const under = `${disk}/${listed}/`;
        const of = (keys: Iterable<string>) => [...keys].filter((key) => key.startsWith(under));
        return {
          files: [
            ...of(this.files.keys()).map((key) => ({
              name: key.slice(under.length),
              sizeBytes: this.files.get(key)!.length,
            })),
            ...of(this.packs.keys()).map((key) => ({ name: key.slice(under.length), sizeBytes: this.#packSize(key) })),
          ],
        };
      }
      case 'DELETE intents':
        return {};
      case 'POST copies': {
        const wish = JSON.parse((await collectBody(request)).toString());
        return {
          copies: wish.blobs.map((place: { blob: string; intent: string; file: string }) =>
            this.#copy(wish.from.disk, `${wish.disk}/${wish.intent}`, place),
          ),
        };
      }
      case 'GET faults':
        return {
          scrubbedAt: null,
          faults: this.faults.filter((fault) => fault.disk === disk).map(({ disk: _disk, ...fault }) => fault),
        };
      case 'DELETE faults':
        this.faults = this.faults.filter((fault) => fault.disk !== disk || fault.file !== file);
        return {};
      default:
        throw Object.assign(new Error('no such route'), { status: 404, code: 'not_found' });
    }
  }

  #copy(fromDisk: string, to: string, { blob, intent, file }: { blob: string; intent: string; file: string }) {
    const from = `${fromDisk}/${intent}`;
    const record = this.packs.get(`${from}/${file}`)?.get(blob);
    const bytes = record?.bytes ?? this.files.get(`${from}/${blob}`);
    if (!bytes) return { place: null, problem: { code: 'not_found', message: 'gone' } };
    if (!record) {
      this.files.set(`${to}/${blob}`, bytes);
      return { place: { file: blob, offset: 0 }, problem: null };
    }
    return { place: this.#record(to, blob, bytes), problem: null };
  }

  #record(at: string, id: string, bytes: Buffer) {
    const key = `${at}/0.pack`;
    const pack = this.packs.get(key) ?? new Map();
    this.packs.set(key, pack);
    const offset = this.#packSize(key);
    pack.set(id, { bytes, offset });
    return { file: '0.pack', offset };
  }

  #append(at: string, body: Buffer) {
    const places: object[] = [];
    for (let from = 0; from < body.length; ) {
      const hex = body.toString('hex', from, from + 16);
      const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
      const length = body.readUInt32BE(from + 16);
      places.push(this.#record(at, id, Buffer.from(body.subarray(from + 20, from + 20 + length))));
      from += 20 + length;
    }
    return places;
  }

  #file(key: string, bytes: Buffer, file: string, digests: string) {
    this.files.set(key, bytes);
    const taken = digests.split(',').map((name) => [name, checksumOf(name as 'md5', bytes).toString('hex')]);
    return { sizeBytes: bytes.length, file, digests: Object.fromEntries(taken) };
  }
}

async function collectBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  if (!request.complete) throw new Error('cut off');
  return Buffer.concat(chunks);
}

export interface ObjectWorld {
  db: TestDatabase;
  client: HostClient;
  disks: FakeDisks;
  hostId: HostId;
  projectId: ProjectId;
  caller: Caller;
  area: ReturnType<typeof openObject>;
  /** Another process over the same database. */
  another(options?: Partial<ObjectAreaOptions>): ReturnType<typeof openObject>;
  project(): Promise<{ projectId: ProjectId; caller: Caller }>;
  put(
    name: string,
    text: string,
    wish?: Partial<ObjectWish>,
    container?: string,
  ): ReturnType<typeof openObject>['services']['objects']['put'] extends (...args: never[]) => infer R ? R : never;
  get(name: string, container?: string): Promise<string>;
}

export const callerOf = (projectId: ProjectId, roles = ['member', 'reader']): Caller => ({
  ...{ requestId: 'req-test', userId: newOrderedId<UserId>(), userName: 'tester', userDomainId: newOrderedId() },
  ...{ projectId, projectName: projectId, projectDomainId: newOrderedId(), domainId: null, system: false },
  ...{ roles: new Set(roles), applicationCredential: null },
});

export async function objectWorld(
  t: Pick<TestContext, 'after'>,
  { host, ...options }: Partial<ObjectAreaOptions> & { host?: HostId } = {},
): Promise<ObjectWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'bothy-object-'));
  const db = await testDatabase();
  const socket = join(folder, 'host.sock');
  const disks = new FakeDisks();
  const server = http.createServer((request, response) => void disks.serve(request, response));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const hostId = host ?? newOrderedId<HostId>();
  const client = new HostClient({
    tls: await (await testAuthority()).issue('bothy-control'),
    local: { id: hostId, socket },
  });
  await registerHost(db.database, { id: hostId, name: 'host' });
  const facts = { objectDisks: [{ name: 'default' }], url: 'https://127.0.0.1:1' };
  await sql`update host set connected = true, facts = ${JSON.stringify(facts)} where id = ${hostId}`.execute(
    db.database.query,
  );
  const areas: ReturnType<typeof openObject>[] = [];
  const another = (more: Partial<ObjectAreaOptions> = {}) => {
    const area = openObject({
      database: db.database,
      client,
      log: pino({ level: 'silent' }),
      holder: newOrderedId(),
      ...options,
      ...more,
    });
    areas.push(area);
    return area;
  };
  t.after(async () => {
    for (const area of areas) await area.stop();
    client.close();
    server.closeAllConnections();
    server.close();
    await db[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  const area = another();
  const project = async () => {
    const projectId = await testProject(db.database);
    return { projectId, caller: callerOf(projectId) };
  };
  const own = await project();
  const { containers, objects } = area.services;
  await containers.create(own.caller, { projectId: own.projectId, container: 'box' });
  const where = (container = 'box') => ({ projectId: own.projectId, container });
  return {
    ...{ db, client, disks, hostId, ...own, area, another, project },
    put: (name, text, wish = {}, container = 'box') =>
      objects.put(own.caller, where(container), name, bodyOf(text), { contentType: 'text/plain', ...wish }),
    get: async (name, container = 'box') => textOf(await objects.open(own.caller, where(container), name)),
  };
}

export const bodyOf = (bytes: string | Buffer) => ({
  bytes: Readable.from([Buffer.from(bytes)]),
  sizeBytes: Buffer.byteLength(bytes),
});

export const textOf = async (opened: OpenedObject, range?: ObjectRange): Promise<string> =>
  (await collect(await opened.read(range))).toString();

/** What counters say is what there is. */
export async function requireCountersExact({ db }: Pick<ObjectWorld, 'db'>): Promise<void> {
  const { rows } = await sql<{ counted: object; found: object }>`
    select jsonb_build_object('objects', u.objects, 'bytes', u.bytes, 'past', u.past_objects, 'past_bytes', u.past_bytes,
        'uploads', u.upload_bytes) as counted,
      jsonb_build_object('objects', (select count(*) from object where container_id = c.id and current),
        'bytes', (select coalesce(sum(size_bytes), 0) from object where container_id = c.id and current),
        'past', (select count(*) from object where container_id = c.id and not current),
        'past_bytes', (select coalesce(sum(size_bytes), 0) from object where container_id = c.id and not current),
        'uploads', (select coalesce(sum(size_bytes), 0) from object_upload_part p join object_upload up on up.id = p.upload_id
          where up.container_id = c.id)) as found
    from container c join container_use u on u.container_id = c.id
    union all
    select jsonb_build_object('containers', a.containers, 'objects', a.objects, 'bytes', a.bytes),
      jsonb_build_object('containers', count(c.id), 'objects', coalesce(sum(u.objects), 0),
        'bytes', coalesce(sum(u.bytes + u.past_bytes + u.upload_bytes), 0))
    from object_account a left join container c on c.project_id = a.project_id left join container_use u on u.container_id = c.id
    group by a.project_id`.execute(db.database.query);
  for (const { counted, found } of rows) assert.deepEqual(counted, found);
}
