/**
 * Walks every route of a dialect: with values of every kind in every place of path, query and body, and with callers of
 * every rank. Bounded and seeded in `npm run check`; `npm run fuzz` tries all.
 */
import assert from 'node:assert/strict';
import type { TSchema } from 'typebox';
import { Random } from '../../../test/support/random.ts';
import { oneEach } from '../actions.ts';
import { fits } from '../check.ts';
import { type Rights, type RouteEntry, Versions } from '../contract.ts';
import { headerOf } from '../headers.ts';
import { holdRoutesToTime } from './hostile.ts';
import { anyTexts, mutations, sample } from './sample.ts';

export type Rank = 'reader' | 'member' | 'admin';
/** Whom only some dialects ask about. An outsider has a token for the project and a role that no service knows. */
export type AnyRank = Rank | 'outsider' | 'manager' | 'service';

export interface WalkCall<R extends AnyRank = Rank> {
  method: string;
  url: string;
  /** JSON. */
  payload?: string;
  /** As text: they go as UTF-8. */
  headers?: Readonly<Record<string, string>>;
  version: number;
  /** Undefined: without a token. */
  as?: R;
  entry: RouteEntry;
}

export interface Walk<R extends AnyRank = Rank> {
  entries: readonly RouteEntry[];
  /** Values of path parameters, so that routes find something; called afresh for each request. */
  path(entry: RouteEntry): Readonly<Record<string, string>>;
  /** A body that is accepted, where the schema's own sample is not. */
  body?(entry: RouteEntry): unknown;
  call(call: WalkCall<R>): Promise<{ status: number; text: string }>;
  /** Tries of each route in `npm run check`. */
  tries?: number;
  /** The dialect has no answer for outsiders but where its contract says `caller`. */
  outsiders?: true;
  /** For Nova: the versions to ask for. */
  versions?: readonly number[];
}

const full = process.env.BOTHY_FUZZ === 'full';
const seed = Number(process.env.BOTHY_FUZZ_SEED ?? 20260131);

/** All of the items in the full walk, else some, chosen by the seed. */
function some<T>(items: Iterable<T>, count: number, random: Random): T[] {
  const all = [...items];
  if (full) return all;
  return Array.from({ length: Math.min(count, all.length) }, () => random.pick(all));
}

const at = (schema: TSchema | Versions, version: number): TSchema =>
  schema instanceof Versions ? schema.at(version) : schema;

const urlOf = (entry: RouteEntry, path: Readonly<Record<string, string>>): string =>
  entry.url.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(path[name] ?? 'x'));

/** What clients may write; a lone surrogate can't be escaped, so its bytes are. */
const escaped = (text: string): string => (text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80');

/** @throws AssertionError for a schema that is slow to judge, every answer of 500 and more, and every wrong value that was not refused */
export async function walkWrongTypes<R extends AnyRank = Rank>(walk: Walk<R>): Promise<number> {
  holdRoutesToTime(walk.entries);
  const found: string[] = [];
  const random = new Random(seed);
  // A route's tries are shared among its versions.
  const tries = Math.max(2, Math.ceil((walk.tries ?? 6) / (walk.versions?.length ?? 1)));
  let calls = 0;
  for (const entry of walk.entries.flatMap(oneEach)) {
    for (const version of walk.versions ?? [1]) {
      const requests = [
        ...pathTries(walk, entry, tries, random),
        ...queryTries(walk, entry, version, tries, random),
        ...headerTries(walk, entry, version, tries, random),
        ...bodyTries(walk, entry, version, tries, random),
      ];
      for (const request of requests) {
        const payload = request.payload === undefined ? {} : { payload: JSON.stringify(request.payload) };
        const { status, text } = await walk.call({
          ...{ method: entry.method, url: request.url, version, as: 'admin' as R, entry },
          ...payload,
          ...(request.headers && { headers: request.headers }),
        });
        calls++;
        const said = request.headers ? ` ${JSON.stringify(request.headers).slice(0, 200)}` : '';
        const shown = `${entry.method} ${request.url.slice(0, 200)}${said} ${(payload.payload ?? '').slice(0, 300)}: ${status} ${text.slice(0, 300)}`;
        if (status >= 500 && !(status === 501 && entry.contract.later)) found.push(shown);
        if (request.wrong && status < 400) found.push(`taken: ${shown}`);
      }
    }
  }
  assert.deepEqual(found, [], `${found.length} of ${calls} requests (seed ${seed})`);
  return calls;
}

interface Try {
  url: string;
  payload?: unknown;
  headers?: Readonly<Record<string, string>>;
  /** The schema refuses it, so the route must. */
  wrong: boolean;
}

function pathTries(walk: Pick<Walk, 'path' | 'body'>, entry: RouteEntry, tries: number, random: Random): Try[] {
  const names = [...entry.url.matchAll(/:(\w+)/g)].map(([, name]) => name!);
  const values = ['x', 'x\0', '🏔', '%', '..', "'", '-1', '99999999999999999999', 'x'.repeat(280), '\ud83c', '{}'];
  return names.flatMap((name) =>
    some(values, Math.ceil(tries / 4), random).map((value) => {
      const path = walk.path(entry);
      const url = entry.url.replace(/:(\w+)/g, (_, one: string) => escaped(one === name ? value : (path[one] ?? 'x')));
      return { url, wrong: value.includes('\0'), ...bodyOf(walk, entry) };
    }),
  );
}

/** A body that the route takes, if it takes one. */
function bodyOf(walk: Pick<Walk, 'path' | 'body'>, entry: RouteEntry, version = 1): { payload?: unknown } {
  if (!entry.contract.body) return {};
  return { payload: walk.body?.(entry) ?? sample(at(entry.contract.body, version)) };
}

function queryTries(
  walk: Pick<Walk, 'path' | 'body'>,
  entry: RouteEntry,
  version: number,
  tries: number,
  random: Random,
): Try[] {
  const schema = entry.contract.query && at(entry.contract.query, version);
  const names = ['surprise', ...Object.keys((schema as { properties?: object } | undefined)?.properties ?? {})];
  const pairs = names.flatMap((name) => anyTexts.map((text) => [name, text] as const));
  return some(pairs, tries, random).map(([name, text]) => {
    const query = [text].flat().map((one) => `${encodeURIComponent(name)}=${escaped(one)}`);
    const value = { [name]: text };
    const nul = [text].flat().some((one) => one.includes('\0'));
    return {
      url: `${urlOf(entry, walk.path(entry))}?${query.join('&')}`,
      wrong: nul || (schema !== undefined && !fits(schema, value)),
      ...bodyOf(walk, entry, version),
    };
  });
}

function headerTries(
  walk: Pick<Walk, 'path' | 'body'>,
  entry: RouteEntry,
  version: number,
  tries: number,
  random: Random,
): Try[] {
  const schema = entry.contract.headers;
  if (!schema) return [];
  const { properties = {}, patternProperties = {} } = schema as Record<string, object | undefined>;
  const alike = Object.keys(patternProperties).flatMap((pattern) =>
    ['x', '', 'x'.repeat(300)].map((end) => `${headerOf(pattern)}${end}`),
  );
  const texts = anyTexts.flat().filter((text) => text.isWellFormed() && !/[\r\n]/.test(text));
  const pairs = [...Object.keys(properties), ...alike].flatMap((name) => texts.map((text) => [name, text] as const));
  return some(pairs, tries * 2, random).map(([name, text]) => ({
    url: urlOf(entry, walk.path(entry)),
    headers: { [name]: text },
    wrong: text.includes('\0') || !fits(schema, { [name]: text }),
    ...bodyOf(walk, entry, version),
  }));
}

function bodyTries(
  walk: Pick<Walk, 'path' | 'body'>,
  entry: RouteEntry,
  version: number,
  tries: number,
  random: Random,
): Try[] {
  const { body } = entry.contract;
  if (!body) return [];
  const schema = at(body, version);
  const samples = [walk.body?.(entry), sample(schema), sample(schema, { full: true })].filter(
    (one) => one !== undefined,
  );
  const tried = some(
    samples.flatMap((one) => [one, ...mutations(one)]),
    tries * 3,
    random,
  );
  const url = urlOf(entry, walk.path(entry));
  return tried.map((payload) => ({ url, payload, wrong: !fits(schema, JSON.parse(JSON.stringify(payload))) }));
}

/** Who is less than each. */
const lower: Readonly<Partial<Record<Rights, readonly AnyRank[]>>> = {
  reader: [],
  member: ['reader'],
  manager: ['reader', 'member'],
  service: ['reader', 'member'],
  admin: ['reader', 'member'],
};

/** @throws AssertionError for a route that answers somebody of less than its rank, or refuses its own */
export async function walkRights<R extends AnyRank = Rank>(walk: Walk<R>): Promise<void> {
  const found: string[] = [];
  for (const entry of walk.entries.flatMap(oneEach)) {
    const { rights } = entry.contract;
    const version = walk.versions?.at(-1) ?? 1;
    const call = async (as: AnyRank | undefined) => {
      const { payload } = bodyOf(walk, entry, version);
      const url = urlOf(entry, walk.path(entry));
      const { status } = await walk.call({
        ...{ method: entry.method, url, version, entry },
        ...(as ? { as: as as R } : {}),
        ...(payload === undefined ? {} : { payload: JSON.stringify(payload) }),
      });
      return status;
    };
    const nobody = await call(undefined);
    const name = `${entry.method} ${entry.url}`;
    if (rights === 'open' ? nobody === 401 && !entry.contract.body : nobody !== 401)
      found.push(`${name}: nobody gets ${nobody}`);
    const outsiders: AnyRank[] = walk.outsiders && lower[rights] ? ['outsider'] : [];
    for (const as of [...outsiders, ...(lower[rights] ?? [])]) {
      const status = await call(as);
      if (![403, 404].includes(status)) found.push(`${name}: a ${as} gets ${status}`);
    }
    const own = rights === 'open' || rights === 'caller' ? 'reader' : rights;
    const status = await call(own);
    if (status === 401 || (status === 403 && rights !== 'caller')) found.push(`${name}: a ${own} gets ${status}`);
  }
  assert.deepEqual(found, []);
}
