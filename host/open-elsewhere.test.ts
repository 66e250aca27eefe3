import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isOpenElsewhere } from './open-elsewhere.ts';

test('whether anybody has a file open is the kernel’s word: to write, to read, and of a file that is gone it has none', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bo-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const [path, other] = [join(directory, 'a b'), join(directory, 'other')];
  writeFileSync(path, 'x');
  writeFileSync(other, 'x');
  const asked = async () => [
    await isOpenElsewhere([
      { path: other, open: 'any' },
      { path, open: 'write' },
    ]),
    await isOpenElsewhere([{ path, open: 'any' }]),
  ];
  assert.deepEqual(await asked(), ['no', 'no']);
  {
    await using _reader = await open(path, 'r');
    assert.deepEqual(await asked(), ['no', 'yes']);
  }
  {
    await using _writer = await open(path, 'r+');
    assert.deepEqual(await asked(), ['yes', 'yes']);
  }
  const gone = { path: join(directory, 'gone'), open: 'any' } as const;
  assert.equal(await isOpenElsewhere([gone, { path, open: 'any' }]), 'unknown');
});
