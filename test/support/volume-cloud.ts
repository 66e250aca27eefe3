/**
 * A whole cloud of its own for live tests of volumes: pools named local, fast (in memory) and tight (in memory, small), a guest without a network
 * in which numbered sequences are written, and whatever kills the processes under it. Clients try again, as those of a real cloud do.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import pg from 'pg';
import { databaseUrlOf } from '../../cli/cloud/database-url.ts';
import { removeCloud, reserveCloud, type ThrowAwaySettings } from '../../cli/cloud/throw-away.ts';
import { cloudPaths, loadSettings } from '../../cli/settings.ts';
import { QmpClient } from '../../protocols/qmp/index.ts';
import { ensurePublicGuest } from './guest-image.ts';
import { GuestShell } from './guest-shell.ts';
import { bothy, environmentOf, type LiveCloud, mustRun, run, until } from './live-cloud.ts';
import type { Answer, OpenStack } from './openstack.ts';
import { administrator } from './tenant.ts';
import { sequenceIn } from './volume-machine.ts';

const pools = ['local', 'fast', 'tight'] as const;
export type Pool = (typeof pools)[number];
export type Kind = 'volumes' | 'snapshots' | 'backups';
type Service = Parameters<OpenStack['call']>[1];
// biome-ignore lint/suspicious/noExplicitAny: answers are looked into by assertions, not by types
type Body = any;

const memory: Partial<Record<Pool, string>> = { fast: '1g', tight: '96m' };
const settleMs = 150_000;

interface StartOptions {
  settings?: ThrowAwaySettings;
  guest?: boolean;
}

export class VolumeCloud implements AsyncDisposable {
  readonly data: string;
  admin: OpenStack;
  readonly #place: string;
  readonly #killed = new Set<number>();
  serverId = '';

  /** @param options.guest no server is made of the guest image. Absent: it is there */
  static async start({ settings = {}, guest = true }: StartOptions = {}): Promise<VolumeCloud> {
    const place = mkdtempSync(join(tmpdir(), 'bothy-volumes-'));
    // Guests pass through to their files.
    chmodSync(place, 0o711);
    for (const name of [...pools, 'backups']) mkdirSync(join(place, name));
    for (const [name, size] of Object.entries(memory)) mount(join(place, name), size);
    const tiers = { local: 'disk', fast: 'ram', tight: 'flash' };
    const setting = pools.map((name) => `${name}:${tiers[name]}:${join(place, name)}`).join();
    const own = { storage_pools: setting, backup_directory: join(place, 'backups') };
    const data = await reserveCloud(tmpdir(), { ...own, ...settings });
    try {
      await mustRun(bothy, ['up', '--detach', '--data', data], { deadlineMs: 300_000 });
      const adminEnvironment = environmentOf(join(data, 'openrc'));
      const cloud: LiveCloud = {
        data,
        adminEnvironment,
        caFile: join(data, 'ca.pem'),
        async [Symbol.asyncDispose]() {},
      };
      if (guest) await ensurePublicGuest(cloud);
      const made = new VolumeCloud(data, place, await administrator(cloud));
      await made.#makeTypes();
      return made;
    } catch (error) {
      await removeCloud(data);
      unmount(place);
      throw error;
    }
  }

  private constructor(data: string, place: string, admin: OpenStack) {
    this.data = data;
    this.#place = place;
    this.admin = admin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.admin.close();
    await removeCloud(this.data);
    unmount(this.#place);
  }

  pool(name: Pool): string {
    return join(this.#place, name);
  }

  /** What lies in pools and in the directory of backups, beside their marks. */
  files(): string[] {
    return [...pools, 'backups'].flatMap((name) =>
      readdirSync(join(this.#place, name), { recursive: true, withFileTypes: true })
        .filter((found) => !found.isDirectory() && found.name !== 'bothy-pool.json')
        .map((found) => relative(this.#place, join(found.parentPath, found.name))),
    );
  }

  /** Somebody who has what others had. */
  resize(name: Pool, size: string): void {
    execFileSync('mount', ['-o', `remount,size=${size}`, this.pool(name)]);
  }

  /** An answer below 400, how often it may have to be asked for: whoever is asked may be dead just now. */
  async must(method: string, service: Service, path: string, body?: unknown): Promise<Body> {
    const answered = async () => {
      const answer = await this.try(method, service, path, body);
      if (answer && answer.status >= 400 && answer.status < 500 && answer.status !== 409)
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer && answer.status < 400 && answer;
    };
    return (await until(`${method} ${path}`, answered, settleMs)).body;
  }

  /** One attempt; undefined: nobody answered. */
  async try(method: string, service: Service, path: string, body?: unknown): Promise<Answer | undefined> {
    const version = service === 'compute' ? 'compute 2.90' : 'volume 3.70';
    return this.admin.call(method, service, path, body, { 'openstack-api-version': version }).catch(() => undefined);
  }

  /** Something that is done once: who gets no answer asks again, and is refused where it was done the first time. */
  async act(method: string, service: Service, path: string, body?: unknown): Promise<void> {
    let asked = false;
    const done = async () => {
      const answer = await this.try(method, service, path, body);
      if (!asked && answer && answer.status >= 400 && answer.status < 500)
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      asked = true;
      return answer !== undefined && answer.status < 500;
    };
    await until(`${method} ${path}`, done, settleMs);
  }

  /** Makes one of the name; who gets no answer looks whether there is one. */
  async make(kind: Kind, body: { name: string } & Record<string, unknown>): Promise<string> {
    const made = async () => {
      const found = await this.try('GET', 'block-storage', `/${kind}/detail`);
      const there = found?.body?.[kind]?.find(({ name }: Body) => name === body.name);
      if (there) return there.id as string;
      const answer = await this.try('POST', 'block-storage', `/${kind}`, { [kind.slice(0, -1)]: body });
      if (answer && answer.status >= 400 && answer.status < 500)
        throw new Error(`POST /${kind}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer && answer.status < 300 && (answer.body[kind.slice(0, -1)].id as string);
    };
    return until(`a ${kind} to be taken`, made, settleMs);
  }

  volumes(method: string, path: string, body?: unknown): Promise<Body> {
    return this.must(method, 'block-storage', path, body);
  }

  async volume(id: string): Promise<Body> {
    return (await this.volumes('GET', `/volumes/${id}`)).volume;
  }

  /** @throws where it comes to another state for good */
  async is(kind: Kind, id: string, ...wanted: string[]): Promise<Body> {
    const look = async () => {
      const resource = (await this.volumes('GET', `/${kind}/${id}`))[kind.slice(0, -1)];
      if (/error/.test(resource.status) && !wanted.includes(resource.status))
        throw new Error(`${kind} ${id} ${resource.name}: ${resource.status} ${JSON.stringify(await this.#why(id))}`);
      return wanted.includes(resource.status) && resource;
    };
    return until(`${kind} ${id} to be ${wanted}`, look, settleMs, 50);
  }

  async gone(kind: Kind, id: string): Promise<void> {
    const isGone = async () => (await this.try('GET', 'block-storage', `/${kind}/${id}`))?.status === 404;
    await until(`${kind} ${id} to be gone`, isGone, settleMs, 50);
  }

  attach(volumeId: string): Promise<void> {
    const path = `/servers/${this.serverId}/os-volume_attachments`;
    return this.act('POST', 'compute', path, { volumeAttachment: { volumeId } });
  }

  detach(volumeId: string): Promise<void> {
    return this.act('DELETE', 'compute', `/servers/${this.serverId}/os-volume_attachments/${volumeId}`);
  }

  async boot(): Promise<GuestShell> {
    const { images } = await this.must('GET', 'image', '/v2/images?name=guest');
    const { flavors } = await this.must('GET', 'compute', '/flavors');
    const flavor = flavors.find(({ name }: Body) => name === 'm1.tiny');
    const server = { name: 'writer', imageRef: images[0].id, flavorRef: flavor.id, networks: 'none' };
    this.serverId = (await this.must('POST', 'compute', '/servers', { server })).server.id;
    await this.serverIs('ACTIVE');
    return this.shell();
  }

  serverIs(status: string): Promise<Body> {
    let last: Body;
    const look = async () => {
      const { server } = await this.must('GET', 'compute', `/servers/${this.serverId}`);
      last = server;
      return server.status === status && server;
    };
    return until(`the server to be ${status}`, look, settleMs).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(last)}`);
    });
  }

  /** Until it runs again after its QEMU's death, which is its own end: whoever has it starts it. */
  async revive(): Promise<void> {
    const runs = async () => {
      const { server } = await this.must('GET', 'compute', `/servers/${this.serverId}`);
      if (server.status === 'SHUTOFF')
        await this.try('POST', 'compute', `/servers/${this.serverId}/action`, { 'os-start': null });
      // One that was killed in the middle of a write may be there for long, and the host process does not know yet.
      const [qemu, ...others] = this.qemus;
      return server.status === 'ACTIVE' && qemu !== undefined && !this.#killed.has(qemu) && others.length === 0;
    };
    await until('the server to run again', runs, settleMs, 250);
  }

  shell(): Promise<GuestShell> {
    return GuestShell.open(join(cloudPaths(this.data).run, 'host/guests', this.serverId, 'serial.sock'));
  }

  /** kill -9. */
  async kill(name: string): Promise<void> {
    const { processes } = await this.#status();
    const pid = processes.find((each: Body) => each.name === name)?.pid;
    if (pid) killOne(pid);
  }

  /** The host process speaks with control. */
  async connected(): Promise<boolean> {
    return (await this.rows('select connected from host')).every(({ connected }) => connected);
  }

  get qemus(): number[] {
    return readdirSync('/proc').flatMap((entry) => {
      const words = /^\d+$/.test(entry) ? commandOf(entry) : '';
      return words.startsWith('qemu-system') && words.includes(cloudPaths(this.data).run) ? Number(entry) : [];
    });
  }

  killQemu(): void {
    for (const pid of this.qemus) {
      this.#killed.add(pid);
      killOne(pid);
    }
  }

  /** What is known of a guest that does not do what it was asked to, for the words of a test that fails. */
  async guestSays(): Promise<object> {
    const server = await this.try('GET', 'compute', `/servers/${this.serverId}`);
    const log = await this.try('POST', 'compute', `/servers/${this.serverId}/action`, {
      'os-getConsoleOutput': { length: 30 },
    });
    const { qemus } = this;
    return { server: server?.body, console: log?.body, qemus, qemu: await this.#qemuSays().catch(String) };
  }

  /**
   * What the guest's QEMU says of itself: it has one monitor, so whoever has it, the host process, dies for it.
   */
  async #qemuSays(): Promise<object> {
    const { supervisor, processes } = await this.#status();
    const qmp = join(cloudPaths(this.data).run, 'host/guests', this.serverId, 'qmp.sock');
    process.kill(supervisor, 'SIGSTOP');
    try {
      killOne(processes.find(({ name }: Body) => name === 'host').pid);
      const client = await QmpClient.connect({ path: qmp, timeoutMs: 5000 });
      const questions = ['query-status', 'query-block', 'query-jobs', 'query-block-jobs'];
      const answers = await Promise.all(questions.map(async (each) => [each, await client.execute(each)]));
      client.close();
      return Object.fromEntries(answers);
    } finally {
      process.kill(supervisor, 'SIGCONT');
    }
  }

  /** Its database is gone, as if its disk were, and an empty one is there; its guests run on. What they and the pools hold nobody has taken up yet. */
  async loseDatabase(): Promise<void> {
    await this.bothy('down', '--keep-guests');
    rmSync(join(this.data, 'postgres'), { recursive: true });
    await this.bothy('up', '--detach', '--new-database');
    this.admin.close();
    const adminEnvironment = environmentOf(join(this.data, 'openrc'));
    this.admin = await administrator({ adminEnvironment, caFile: join(this.data, 'ca.pem') });
  }

  bothy(...args: string[]): Promise<string> {
    return mustRun(bothy, [...args, '--data', this.data], { deadlineMs: 300_000 });
  }

  /** All that runs of the cloud ends at once, and it is started again. What memory holds of file systems stays. */
  async restartMachine(): Promise<void> {
    const state = await this.#status();
    for (const pid of [state.supervisor, ...state.processes.map((each: Body) => each.pid)]) if (pid) killOne(pid);
    this.killQemu();
    await this.bothy('up', '--detach');
  }

  /** The last number of the sequence that is in a volume or snapshot, read from its files by nobody of ours. */
  async sequence(kind: 'volume' | 'volume_snapshot', id: string): Promise<number> {
    const [row] = await this.rows(`select layer_id from ${kind} where id = $1`, [id]);
    const to = join(this.#place, 'read.raw');
    const node = `json:${JSON.stringify(this.#chain(row!.layer_id))}`;
    execFileSync('qemu-img', ['dd', '-U', '-O', 'raw', 'bs=4096', 'count=64', `if=${node}`, `of=${to}`]);
    const bytes = readFileSync(to);
    rmSync(to);
    return sequenceIn(bytes);
  }

  /** As the file says that its guest writes to. */
  async isEncrypted(volumeId: string): Promise<boolean> {
    const [row] = await this.rows('select layer_id from volume where id = $1', [volumeId]);
    const path = this.#fileOf(row!.layer_id);
    return JSON.parse(execFileSync('qemu-img', ['info', '-U', '--output=json', path], { encoding: 'utf8' })).encrypted;
  }

  async rows(query: string, values: unknown[] = []): Promise<Body[]> {
    const client = new pg.Client({ connectionString: databaseUrlOf(loadSettings(this.data, {})) });
    await client.connect();
    try {
      return (await client.query(query, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** Also while some of it is just starting. */
  async #status(): Promise<Body> {
    return JSON.parse((await run(bothy, ['status', '--json', '--data', this.data])).stdout);
  }

  #why(id: string): Promise<Body[]> {
    return this.rows('select fault from volume where id = $1', [id]);
  }

  #fileOf(layerId: string): string {
    const found = pools.map((name) => join(this.pool(name), 'layers', `${layerId}.qcow2`)).find((path) => exists(path));
    if (!found) throw new Error(`layer ${layerId} is in no pool`);
    return found;
  }

  /** As the files' own headers say. */
  #chain(layerId: string): object {
    const found = this.#fileOf(layerId);
    const info = JSON.parse(execFileSync('qemu-img', ['info', '-U', '--output=json', found], { encoding: 'utf8' }));
    const below = /^layer:(.+)$/.exec(info['backing-filename'] ?? '')?.[1];
    const file = { driver: 'file', filename: found };
    return { driver: 'qcow2', file, backing: below === undefined ? null : this.#chain(below) };
  }

  async #makeTypes(): Promise<void> {
    const cache = { 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '0.125' };
    const types: Record<string, Record<string, string>> = {
      cached: { volume_backend_name: 'local', ...cache },
      ...Object.fromEntries(pools.map((name) => [name, { volume_backend_name: name }])),
    };
    for (const [name, extra_specs] of Object.entries(types))
      await this.volumes('POST', '/types', { volume_type: { name, extra_specs } });
    const encryption = { provider: 'luks', cipher: 'aes-xts-plain64', key_size: 256, control_location: 'front-end' };
    for (const [name, more] of Object.entries({ sealed: {}, 'sealed-cached': cache })) {
      const volume_type = { name, extra_specs: { volume_backend_name: 'local', ...more } };
      const { volume_type: type } = await this.volumes('POST', '/types', { volume_type });
      await this.volumes('POST', `/types/${type.id}/encryption`, { encryption });
    }
  }
}

function mount(directory: string, size: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=711`, 'tmpfs', directory]);
}

function unmount(place: string): void {
  for (const name of Object.keys(memory)) execFileSync('umount', ['-l', join(place, name)]);
  rmSync(place, { recursive: true });
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

function exists(path: string): boolean {
  return readdirSync(join(path, '..')).includes(path.split('/').at(-1)!);
}
