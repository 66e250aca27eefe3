import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { compareNames, listNames, successor } from './names.ts';
import type { ListWish } from './object.ts';
import { objectWorld } from './testing.ts';

type World = Awaited<ReturnType<typeof objectWorld>>;

async function fill(world: World, names: readonly string[]): Promise<string> {
  const { rows } = await sql<{ id: string }>`select id from container where name = 'box'`.execute(
    world.db.database.query,
  );
  const { id } = rows[0]!;
  await sql`insert into object (container_id, name, id, current, null_version, size_bytes, etag, content_type)
    select ${id}, name, gen_random_uuid(), true, true, 0, '', '' from unnest(${[...names]}::text[]) name`.execute(
    world.db.database.query,
  );
  return id;
}

/** By hand, from all names. */
function expected(names: readonly string[], wish: ListWish): string[] {
  const { prefix = '', delimiter, marker, endMarker, reverse } = wish;
  const all = names.toSorted(compareNames);
  if (reverse) all.reverse();
  const after = (a: string, b: string) => (reverse ? compareNames(a, b) < 0 : compareNames(a, b) > 0);
  const seen = new Set<string>();
  for (const name of all) {
    if (!name.startsWith(prefix)) continue;
    if (marker && !after(name, marker)) continue;
    if (endMarker && !after(endMarker, name)) continue;
    const at = delimiter ? name.indexOf(delimiter, prefix.length) : -1;
    const entry = at < 0 ? name : name.slice(0, at + delimiter!.length);
    if (entry !== marker) seen.add(entry);
  }
  return [...seen];
}

const odd = [
  'a',
  'a/',
  'a/b',
  'a/b/c',
  'a//',
  'a0',
  'b',
  '\u{10ffff}',
  '\u{10ffff}/x',
  '\ue000',
  '\u{1f600}/y',
  'é',
  'z/\ud7ff',
  '~',
  ' ',
  '%2F',
  'a\tb',
];

test('listings are in the order of bytes, whatever the prefix, delimiter, marker, end, direction and page', async (t) => {
  const world = await objectWorld(t);
  const id = await fill(world, odd);
  const { objects } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  assert.ok(id);
  for (const prefix of [undefined, 'a', 'a/', '\u{10ffff}'])
    for (const delimiter of [undefined, '/', '//'])
      for (const marker of [undefined, 'a', 'a/', 'a/b', '\ue000'])
        for (const endMarker of [undefined, 'b'])
          for (const reverse of [false, true]) {
            const wish = { prefix, delimiter, marker, endMarker, reverse };
            const found: string[] = [];
            let from: string | undefined = marker;
            for (let more = true; more; ) {
              const page = await objects.list(world.caller, where, { ...wish, marker: from, limit: 3 });
              found.push(...page.entries.map((entry) => ('prefix' in entry ? entry.prefix : entry.name)));
              from = found.at(-1);
              ({ more } = page);
            }
            assert.deepEqual(found, expected(odd, wish), JSON.stringify(wish));
          }
});

test('what begins with a text comes before the text that follows it', () => {
  assert.equal(successor('a'), 'b');
  assert.equal(successor('\ud7ff'), '\ue000');
  assert.equal(successor('a\u{10ffff}'), 'b');
  assert.equal(successor('\u{10ffff}'), undefined);
});

test('a page of a large container reads no more than it shows, also where all lies below a few prefixes', async (t) => {
  const world = await objectWorld(t);
  const names = Array.from({ length: 100_000 }, (_, n) => `dir${n % 4}/${String(n).padStart(8, '0')}`);
  const id = await fill(world, names);
  await sql`analyze object`.execute(world.db.database.query);
  const blocks = async (wish: ListWish & { limit: number }) => {
    const read = async () => {
      const { rows } = await sql<{ n: number }>`select pg_stat_get_xact_blocks_fetched('object'::regclass)
        + (select sum(pg_stat_get_xact_blocks_fetched(indexrelid)) from pg_index where indrelid = 'object'::regclass) as n`.execute(
        tx!,
      );
      return Number(rows[0]!.n);
    };
    let tx: World['db']['database']['query'] | undefined;
    return world.db.database.transaction({ actorId: null, requestId: null }, async (inside) => {
      tx = inside;
      const before = await read();
      const found = await listNames(inside, { from: sql`object`, where: sql`container_id = ${id} and current` }, wish);
      return { entries: found.entries.length, blocks: (await read()) - before };
    });
  };
  const top = await blocks({ delimiter: '/', limit: 1000 });
  assert.equal(top.entries, 4);
  assert.ok(top.blocks > 0 && top.blocks < 100, `${top.blocks} blocks`);
  const deep = await blocks({ prefix: 'dir2/', marker: 'dir2/00050000', limit: 100 });
  assert.equal(deep.entries, 100);
  assert.ok(deep.blocks < 300, `${deep.blocks} blocks`);
});

test('of a listing, and of many reads at once, what is long is not read over and over', async (t) => {
  const world = await objectWorld(t);
  const where = { projectId: world.projectId, container: 'box' };
  const { containers, objects } = world.area.services;
  const rule = { AllowedOrigin: ['https://'.padEnd(2000, 'a')], AllowedMethod: ['GET'] };
  const settings = { cors: Array(100).fill(rule) } as never;
  await containers.update(world.caller, where, { settings });
  const segments = Array.from({ length: 1000 }, (_, n) => ({ container: 'box', name: `${n}`, sizeBytes: 1 }));
  const manifest = { kind: 'slo' as const, segments, sizeBytes: 1000, etag: 'e' };
  await world.put('large', '', { manifest, metadata: { a: 'b' } });
  const { executeQuery } = world.db.database.query;
  let most = 0;
  world.db.database.query.executeQuery = async (...asked: Parameters<typeof executeQuery>) => {
    const answer = await executeQuery.apply(world.db.database.query, asked);
    most = Math.max(most, JSON.stringify(answer.rows).length);
    return answer as never;
  };
  const found = await Promise.all(Array.from({ length: 50 }, () => objects.find(world.caller, where, 'large')));
  assert.ok(most < 300_000, `${most} characters`);
  for (const { object } of found) assert.deepEqual(object.manifest, manifest);
  assert.ok(found.every(({ container }) => (container.settings.cors as unknown[]).length === 100));
  most = 0;
  const { entries } = await objects.list(world.caller, where, {});
  const [entry] = entries as { manifest: { sizeBytes: number; segments: unknown[] } }[];
  assert.deepEqual(entry?.manifest, { ...manifest, segments: [], count: 1000 });
  await containers.list(world.caller, world.projectId, {});
  assert.ok(most < 250_000, `${most} characters`);
});
