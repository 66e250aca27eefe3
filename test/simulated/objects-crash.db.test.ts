/** Objects over the real engine of a host that is killed again and again, and the janitor over real disks. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { pino } from 'pino';
import { newOrderedId } from '../../contract/ids.ts';
import { HostClient, registerHost } from '../../control/host/index.ts';
import { testDatabase, testProject } from '../../control/kit/database/testing.ts';
import { openObject } from '../../control/object/open.ts';
import { callerOf, requireCountersExact } from '../../control/object/testing.ts';
import { testAuthority } from '../support/certificates.ts';
import { collect } from '../support/collect.ts';
import { ObjectHost } from '../support/object-host.ts';

async function world(t: TestContext, disks?: readonly string[], copies = 1) {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-objects-'));
  const db = await testDatabase();
  const authority = await testAuthority();
  const host = await ObjectHost.start(directory, authority, disks);
  const tls = await authority.issue('bothy-control');
  const client = new HostClient({ tls, local: { id: host.id, socket: host.socket } });
  await registerHost(db.database, { id: host.id, name: 'host' });
  const facts = { objectDisks: (disks ?? ['default']).map((name) => ({ name })), url: host.url };
  await sql`update host set connected = true, facts = ${JSON.stringify(facts)} where id = ${host.id}`.execute(
    db.database.query,
  );
  const area = openObject({
    ...{ database: db.database, client, log: pino({ level: 'silent' }), holder: newOrderedId(), copies },
    janitor: { graceMs: 0 },
  });
  t.after(async () => {
    await area.stop();
    client.close();
    await host.kill();
    await db[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });
  const projectId = await testProject(db.database);
  const caller = callerOf(projectId);
  const where = { projectId, container: 'box' };
  const { objects, containers } = area.services;
  await containers.create(caller, where);
  const put = (name: string, bytes: Buffer) =>
    objects.put(
      caller,
      where,
      name,
      { bytes: Readable.from([Buffer.from(bytes)]), sizeBytes: bytes.length },
      {
        contentType: 'application/octet-stream',
      },
    );
  const get = async (name: string) => collect(await (await objects.open(caller, where, name)).read());
  const remove = (name: string) => objects.delete(caller, where, name);
  return { directory, db, host, area, client, put, get, remove };
}

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const sizes = [0, 10, 4096, 60_000, 262_144, 262_145, 700_000];

test('a host that is killed at any moment of puts, overwrites and deletes has lost none that was answered for', async (t) => {
  const { db, host, put, get, remove } = await world(t);
  /** By name what it may be now: one content where the last word was an answer, else that before or that which was tried. */
  const may = new Map<string, Set<string | null>>();
  let over = false;
  let [done, failed] = [0, 0];
  const work = async (worker: number) => {
    for (let round = 0; !over; round++) {
      const name = `${worker}/${round % 7}`;
      const bytes = round % 9 === 8 ? null : randomBytes(sizes[(worker + round) % sizes.length]!);
      const before = may.get(name) ?? new Set([null]);
      if (bytes === null && before.has(null)) continue;
      const wanted = bytes && digest(bytes);
      may.set(name, new Set([...before, wanted]));
      try {
        await (bytes ? put(name, bytes) : remove(name));
        may.set(name, new Set([wanted]));
        done++;
      } catch {
        failed++;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  const workers = Array.from({ length: 8 }, (_, worker) => work(worker));
  for (let kills = 0; kills < 3; kills++) {
    const until = done + 50;
    while (done < until) await new Promise((resolve) => setImmediate(resolve));
    await host.kill();
    await host.begin();
  }
  over = true;
  await Promise.all(workers);
  assert.ok(done > 150 && failed > 0, `${done} done, ${failed} failed`);
  for (const [name, contents] of may) {
    const now = await get(name).then(digest, (error) => {
      if (error.code !== 'not_found') throw error;
      return null;
    });
    assert.ok(contents.has(now), `${name} is none of what it may be`);
  }
  await requireCountersExact({ db });
});

test('what is removed goes from the disk, a pack that is mostly dead too, and what lives stays', async (t) => {
  const { directory, area, put, get, remove } = await world(t);
  const kept = new Map<string, Buffer>();
  for (let n = 0; n < 60; n++) {
    const bytes = randomBytes(n % 10 === 0 ? 300_000 : 20_000);
    await put(`o${n}`, bytes);
    if (n % 4 === 0) kept.set(`o${n}`, bytes);
  }
  const files = () =>
    readdirSync(join(directory, 'data/objects/intents'), { recursive: true, withFileTypes: true }).filter((each) =>
      each.isFile(),
    );
  const before = files();
  for (let n = 0; n < 60; n++) if (!kept.has(`o${n}`)) await remove(`o${n}`);
  for (let times = 0; times < 5; times++) await area.behind.janitor.look();
  assert.ok(files().length < before.length, 'files of large ones are gone');
  for (const [name, bytes] of kept) assert.ok((await get(name)).equals(bytes), name);
});

test('with two copies each object outlives a disk whose bytes have all gone bad', async (t) => {
  const { directory, put, get } = await world(t, ['a', 'b'], 2);
  const kept = new Map<string, Buffer>();
  for (const size of sizes) {
    const bytes = randomBytes(size);
    await put(`o${size}`, bytes);
    kept.set(`o${size}`, bytes);
  }
  const bad = readdirSync(join(directory, 'disk-a/intents'), { recursive: true, withFileTypes: true });
  for (const each of bad.filter((one) => one.isFile())) {
    const path = join(each.parentPath, each.name);
    writeFileSync(
      path,
      readFileSync(path).map((byte) => byte ^ 0x55),
    );
  }
  for (const [name, bytes] of kept) assert.ok((await get(name)).equals(bytes), name);
});
