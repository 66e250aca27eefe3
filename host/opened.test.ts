import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { forgetStore, lastNames, letGo, makeStore, openedAs, openedIds } from './opened.ts';

const gid = process.getgid!();

async function store(t: TestContext) {
  const path = mkdtempSync(join(tmpdir(), 'bo-'));
  t.after(() => rmSync(path, { recursive: true }));
  await makeStore(path, { kept: 'files', guestGid: undefined });
  const put = (name: string, text: string) => {
    const file = join(path, 'files', name);
    rmSync(file, { force: true });
    writeFileSync(file, text);
    return file;
  };
  return { path, put };
}

test('who opens a file has a name of its own for it, of the file as it is now', async (t) => {
  const { path, put } = await store(t);
  const file = put('one', 'first');
  const place = await openedAs(file, 'a', gid);
  assert.equal(place, join(path, 'opened/a/one'));
  assert.equal(await openedAs(file, 'a', gid), place);
  assert.equal(statSync(file).nlink, 2);
  put('one', 'replaced');
  assert.equal(readFileSync(await openedAs(file, 'a', gid), 'utf8'), 'replaced');
  for (const directory of [path, join(path, 'files'), join(path, 'opened/a')])
    assert.equal(statSync(directory).mode & 0o777, 0o710);
});

test('a name that only keeps the space of a file that is gone is told, and goes without the others', async (t) => {
  const { path, put } = await store(t);
  for (const name of ['one', 'two']) await openedAs(put(name, name), 'a', gid);
  assert.deepEqual(await lastNames(path, 'a'), []);
  rmSync(join(path, 'files/one'));
  assert.deepEqual(await lastNames(path, 'a'), ['one']);
  await letGo(path, 'a', ['one', 'never there']);
  assert.deepEqual(readdirSync(join(path, 'opened/a')), ['two']);
  await letGo(path, 'a');
  await letGo(path, 'a');
  assert.deepEqual([await openedIds(path), statSync(join(path, 'files/two')).nlink], [[], 1]);
});

test('a store that is one no more keeps what is not ours', async (t) => {
  const { path, put } = await store(t);
  await openedAs(put('one', 'one'), 'a', gid);
  await forgetStore(path, 'files');
  assert.deepEqual(readdirSync(path, { recursive: true }).sort(), ['files', 'files/one']);
});

test('a store that is gone is not made anew in its place', async (t) => {
  const { path } = await store(t);
  const gone = join(path, 'unmounted');
  await assert.rejects(makeStore(gone, { kept: 'files', guestGid: undefined }), { code: 'ENOENT' });
  await assert.rejects(openedAs(join(gone, 'files/one'), 'a', gid), { code: 'ENOENT' });
  assert.deepEqual(readdirSync(path).sort(), ['files', 'opened']);
});
