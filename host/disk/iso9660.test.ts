import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { iso9660 } from './iso9660.ts';

const files = new Map<string, string | Buffer>([
  ['openstack/latest/meta_data.json', '{"name":"小屋 🏔"}'],
  ['openstack/latest/user_data', Buffer.from([0, 255, 1])],
  ['openstack/latest/empty', ''],
  ['ec2/latest/meta-data.json', '{}'],
  ['ec2/latest/meta_data.json', '{"other":1}'],
]);

/** Walks the primary tree by Rock Ridge names, as Linux does. */
function read(image: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  const walk = (extent: number, size: number, path: string) => {
    let at = extent * 2048;
    while (at < extent * 2048 + size) {
      const length = image[at]!;
      if (length === 0) {
        at = (Math.floor(at / 2048) + 1) * 2048;
        continue;
      }
      const record = image.subarray(at, at + length);
      at += length;
      const idLength = record[32]!;
      if (idLength === 1 && record[33]! < 2) continue;
      const use = record.subarray(33 + idLength + (idLength % 2 === 0 ? 1 : 0));
      const name = alternateName(use);
      const [where, bytes] = [record.readUInt32LE(2), record.readUInt32LE(10)];
      if (record[25]! & 2) walk(where, bytes, `${path}${name}/`);
      else found.set(`${path}${name}`, image.subarray(where * 2048, where * 2048 + bytes));
    }
  };
  const root = image.subarray(16 * 2048 + 156);
  walk(root.readUInt32LE(2), root.readUInt32LE(10), '');
  return found;
}

function alternateName(use: Buffer): string {
  for (let at = 0; at + 4 <= use.length; at += use[at + 2]!) {
    if (use.toString('latin1', at, at + 2) === 'NM') return use.toString('utf8', at + 5, at + use[at + 2]!);
  }
  return '?';
}

test('every file is found again with its bytes, by its own name', () => {
  const image = iso9660(files, { label: 'config-2' });
  assert.equal(image.length % 2048, 0);
  assert.equal(image.readUInt32LE(16 * 2048 + 80), image.length / 2048);
  assert.equal(image.toString('latin1', 16 * 2048 + 40, 16 * 2048 + 48), 'config-2');
  const expected = new Map([...files].map(([path, contents]) => [path, Buffer.from(contents)]));
  assert.deepEqual(new Map([...read(image)].sort()), new Map([...expected].sort()));
});

test('a directory may have more entries than a sector holds', () => {
  const many = new Map(Array.from({ length: 100 }, (_, n) => [`d/file-${n}`, `contents ${n}`]));
  assert.equal(read(iso9660(many, { label: 'config-2' })).size, 100);
});

test('a name that is a file and a directory is refused', () => {
  assert.throws(
    () =>
      iso9660(
        new Map([
          ['a', ''],
          ['a/b', ''],
        ]),
        { label: 'x' },
      ),
    /file and a directory/,
  );
});

/** Not in the PATH of a user who is not root. */
const blkid = ['/usr/sbin/blkid', '/sbin/blkid'].find((path) => existsSync(path));

test('the label is what blkid reads', () => {
  assert.ok(blkid, 'blkid is part of every Debian (util-linux)');
  const directory = mkdtempSync(join(tmpdir(), 'iso-'));
  try {
    writeFileSync(join(directory, 'i'), iso9660(files, { label: 'config-2' }));
    const said = execFileSync(blkid, ['-p', '-o', 'export', join(directory, 'i')], { encoding: 'utf8' });
    assert.match(said, /^LABEL=config-2$/m);
    assert.match(said, /^TYPE=iso9660$/m);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
