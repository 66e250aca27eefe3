/** Somebody who does with a cloud whatever people do, and remembers what it was answered. */
import type { Answer, OpenStack } from './openstack.ts';
import type { Random } from './random.ts';
import type { SimulatedCloud } from './simulated-cloud.ts';
import { rawImage } from './small-image.ts';
import type { Tenancy } from './tenancy.ts';

type Service = Parameters<OpenStack['call']>[1];

/** What a tenant makes, in the order in which it can go again; what is listed is its own alone. */
const kinds = {
  servers: { service: 'compute', path: '/servers', noun: 'server', list: '/servers/detail' },
  snapshots: { service: 'block-storage', path: '/snapshots', noun: 'snapshot', list: '/snapshots/detail' },
  volumes: { service: 'block-storage', path: '/volumes', noun: 'volume', list: '/volumes/detail' },
  ports: { service: 'network', path: '/v2.0/ports', noun: 'port', list: '/v2.0/ports?device_owner=' },
  images: { service: 'image', path: '/v2/images', noun: undefined, list: '/v2/images?visibility=shared' },
} as const satisfies Record<string, { service: Service; path: string; noun: string | undefined; list: string }>;
type Kind = keyof typeof kinds;
const kindNames = Object.keys(kinds) as Kind[];

const versions: Partial<Record<Service, string>> = { 'block-storage': 'volume 3.68', compute: 'compute 2.79' };

/** What a tenant knows of one thing of its own, from the answers that it got. */
interface Thing {
  id: string;
  /** Its deletion was answered, or may have been taken. */
  leaving?: boolean;
  status?: string;
}

export class WeekTenant {
  readonly things: Readonly<Record<Kind, Map<string, Thing>>> = {
    servers: new Map(),
    snapshots: new Map(),
    volumes: new Map(),
    ports: new Map(),
    images: new Map(),
  };
  readonly name: string;
  readonly #client: OpenStack;
  /** Moves its servers when it asks for it. */
  readonly #administrator: OpenStack;
  readonly #tenancy: Tenancy;
  readonly #random: Random;
  readonly #network: string;
  /** What of ours was answered as if it were at fault, with where. */
  readonly faults: string[] = [];
  readonly counts = { answered: 0, refused: 0, unavailable: 0, lost: 0 };
  #made = 0;

  constructor(options: {
    name: string;
    client: OpenStack;
    administrator: OpenStack;
    tenancy: Tenancy;
    random: Random;
    network: string;
  }) {
    this.name = options.name;
    this.#client = options.client;
    this.#administrator = options.administrator;
    this.#tenancy = options.tenancy;
    this.#random = options.random;
    this.#network = options.network;
  }

  /** Undefined where there was no answer, or the cloud said that it can't now. */
  async ask(
    method: string,
    service: Service,
    path: string,
    body?: unknown,
    { as = this.#client, headers = {} }: { as?: OpenStack; headers?: Record<string, string> } = {},
  ): Promise<Answer | undefined> {
    const version = versions[service];
    let answer: Answer;
    try {
      answer = await as.call(method, service, path, body, {
        ...(version && { 'openstack-api-version': version }),
        ...headers,
      });
    } catch {
      this.counts.lost++;
      await sleep(50);
      return undefined;
    }
    if (answer.status === 503) {
      this.counts.unavailable++;
      return undefined;
    }
    if (answer.status >= 500)
      this.faults.push(`${method} ${service}${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    if (answer.status >= 400) this.counts.refused++;
    else this.counts.answered++;
    return answer;
  }

  /** One thing that people do. */
  async act(): Promise<void> {
    const random = this.#random;
    const name = `${this.name} ${++this.#made}`;
    const [server, volume, snapshot, port, image] = (
      ['servers', 'volumes', 'snapshots', 'ports', 'images'] as const
    ).map((kind) => this.#some(kind));
    const acts: (() => Promise<unknown>)[] = [
      () => this.#make('servers', this.#serverBody(name)),
      () => this.#make('volumes', { volume: { name, size: 1 } }),
      () => this.#make('ports', { port: { name, network_id: this.#network } }),
      () => this.#upload(name),
      () => this.#look(),
    ];
    if (server) {
      const way = `/servers/${server.id}/action`;
      const action = (body: object) => () => this.ask('POST', 'compute', way, body);
      const moved = (body: object) => () => this.ask('POST', 'compute', way, body, { as: this.#administrator });
      acts.push(
        () => this.#remove('servers', server),
        action({ 'os-stop': null }),
        action({ 'os-start': null }),
        action({ reboot: { type: 'HARD' } }),
        action({ pause: null }),
        action({ unpause: null }),
        moved({ 'os-migrateLive': { host: null, block_migration: 'auto' } }),
        moved({ migrate: null }),
        action({ confirmResize: null }),
        action({ revertResize: null }),
        () => this.ask('PUT', 'compute', `/servers/${server.id}`, { server: { name } }),
      );
      if (volume) {
        const attached = `/servers/${server.id}/os-volume_attachments`;
        acts.push(
          () => this.ask('POST', 'compute', attached, { volumeAttachment: { volumeId: volume.id } }),
          () => this.ask('DELETE', 'compute', `${attached}/${volume.id}`),
        );
      }
    }
    if (volume)
      acts.push(
        () => this.#remove('volumes', volume),
        () => this.ask('POST', 'block-storage', `/volumes/${volume.id}/action`, { 'os-extend': { new_size: 2 } }),
        () => this.#make('snapshots', { snapshot: { name, volume_id: volume.id, force: true } }),
      );
    if (snapshot) acts.push(() => this.#remove('snapshots', snapshot));
    if (port) acts.push(() => this.#remove('ports', port));
    if (image) acts.push(() => this.#remove('images', image));
    await random.pick(acts)();
  }

  /** Until all that it has is gone. */
  async leave(cloud: SimulatedCloud): Promise<void> {
    for (const kind of kindNames) {
      const { service, path } = kinds[kind];
      await cloud.until(`${kind} of ${this.name} to be gone`, async () => {
        const left = await this.#listed(kind);
        for (const { id } of left ?? []) await this.ask('DELETE', service, `${path}/${id}`);
        return left?.length === 0;
      });
    }
  }

  /** What it has, as far as it knows, and has not asked to be gone. */
  idsOf(kind: Kind): Set<string> {
    return new Set([...this.things[kind].values()].filter(({ leaving }) => !leaving).map(({ id }) => id));
  }

  /** After its cloud went back to an older database: what is there now is what it has, and what has lost its bytes it removes. */
  async comeBack(cloud: SimulatedCloud): Promise<void> {
    for (const kind of kindNames) {
      let there: Thing[] | undefined;
      await cloud.until(`${this.name} to see its ${kind}`, async () => {
        there = await this.#listed(kind);
        return there !== undefined;
      });
      this.things[kind].clear();
      for (const { id } of there!) this.things[kind].set(id, { id });
      for (const thing of there!) if (/^error/i.test(thing.status ?? '')) await this.#remove(kind, thing);
    }
  }

  #serverBody(name: string) {
    const { imageId, flavorId } = this.#tenancy;
    return { server: { name, imageRef: imageId, flavorRef: flavorId, networks: [{ uuid: this.#network }] } };
  }

  #some(kind: Kind): Thing | undefined {
    const here = [...this.things[kind].values()];
    return here.length === 0 ? undefined : this.#random.pick(here);
  }

  /** A few of each kind at most: the machines are small. */
  async #make(kind: Kind, body: object): Promise<string | undefined> {
    if (this.things[kind].size >= 2) return undefined;
    const { service, path, noun } = kinds[kind];
    const answer = await this.ask('POST', service, path, body);
    if (!answer || answer.status >= 300) return undefined;
    const { id } = noun === undefined ? answer.body : answer.body[noun];
    this.things[kind].set(id, { id });
    return id;
  }

  async #upload(name: string): Promise<void> {
    const id = await this.#make('images', { name, disk_format: 'raw', container_format: 'bare' });
    const headers = { 'content-type': 'application/octet-stream' };
    if (id) await this.ask('PUT', 'image', `/v2/images/${id}/file`, rawImage(), { headers });
  }

  async #remove(kind: Kind, thing: Thing): Promise<void> {
    const { service, path } = kinds[kind];
    const was = thing.leaving;
    thing.leaving = true;
    const answer = await this.ask('DELETE', service, `${path}/${thing.id}`);
    if (answer && (answer.status < 300 || answer.status === 404)) this.things[kind].delete(thing.id);
    // Refused: it is as it was. No answer: it may be either way, and a later look tells.
    else if (answer) thing.leaving = was ?? false;
    if (answer?.status === 404 && !was) this.faults.push(`${path}/${thing.id} is lost`);
  }

  /** What was said to be there is there. */
  async #look(): Promise<void> {
    for (const kind of kindNames) {
      const before = [...this.things[kind].values()].filter(({ leaving }) => !leaving);
      const listed = await this.#listed(kind);
      if (!listed) return;
      const there = new Set(listed.map(({ id }) => id));
      for (const { id } of before) if (!there.has(id)) this.faults.push(`${kind} ${id} is lost`);
    }
  }

  async #listed(kind: Kind): Promise<Thing[] | undefined> {
    const { service, list } = kinds[kind];
    const answer = await this.ask('GET', service, list);
    return answer?.status === 200 ? answer.body[kind] : undefined;
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
