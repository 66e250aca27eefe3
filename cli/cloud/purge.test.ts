import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { cloudPaths } from '../settings.ts';
import { addressIn } from './addresses.ts';
import { ensureIdentity, readIdentity, requireUsable } from './identity.ts';
import { refuseDangerous } from './purge.ts';

const directory = mkdtempSync(join(tmpdir(), 'bothy-purge-'));
after(() => rmSync(directory, { recursive: true, force: true }));

test('a purge refuses what no data directory can be', () => {
  for (const path of [
    '/',
    '/home',
    '/home/anna',
    '/etc',
    '/var/lib',
    '/usr/local',
    '/tmp',
    '/root',
    process.env.HOME ?? '/root',
  ]) {
    assert.throws(() => refuseDangerous(cloudPaths(path)), /no place that a purge may delete/, path);
  }
});

test('a purge refuses a directory with content but without the mark of a cloud', () => {
  const foreign = join(directory, 'photos');
  mkdirSync(foreign);
  refuseDangerous(cloudPaths(foreign));
  writeFileSync(join(foreign, 'wedding.jpg'), '');
  assert.throws(() => refuseDangerous(cloudPaths(foreign)), /no data directory of Bothy/);
});

test('a file system that is mounted for a cloud alone is as good as an empty directory', () => {
  const data = join(directory, 'mounted');
  mkdirSync(join(data, 'lost+found'), { recursive: true });
  requireUsable(cloudPaths(data));
  refuseDangerous(cloudPaths(data));
  ensureIdentity(cloudPaths(data));
  assert.notEqual(readIdentity(cloudPaths(data)), undefined);
  mkdirSync(join(directory, 'photos/lost+found'));
  assert.throws(() => requireUsable(cloudPaths(join(directory, 'photos'))), /it has wedding\.jpg\)/);
});

test('a first start that was killed before it left its mark is purged, with the settings that were written for it', () => {
  const data = join(directory, 'early');
  mkdirSync(data);
  for (const name of ['bothy.conf', 'cloud.json.new']) writeFileSync(join(data, name), '');
  refuseDangerous(cloudPaths(data));
  mkdirSync(join(data, 'log'));
  assert.throws(() => refuseDangerous(cloudPaths(data)), /no data directory of Bothy/, 'logs may be anybody’s');
});

test('where the mark was lost, the run directory of the path stands for it, and covers nothing of others', () => {
  const paths = { ...cloudPaths(join(directory, 'lost')), run: join(directory, 'run') };
  for (const name of ['log', 'postgres', 'host']) mkdirSync(join(paths.data, name), { recursive: true });
  assert.throws(() => refuseDangerous(paths), /no data directory of Bothy/);
  mkdirSync(paths.run);
  refuseDangerous(paths);
  writeFileSync(join(paths.data, 'wedding.jpg'), '');
  assert.throws(() => refuseDangerous(paths), /no data directory of Bothy/);
});

test('a cloud is made in an empty directory only, and then keeps its ids', () => {
  const data = join(directory, 'cloud');
  const paths = cloudPaths(data);
  const made = ensureIdentity(paths);
  assert.deepEqual(ensureIdentity(paths), made);
  assert.deepEqual(readIdentity(paths), made);
  refuseDangerous(paths);
  assert.throws(() => ensureIdentity(cloudPaths(join(directory, 'photos'))), /not empty/);
});

test('addresses of a range', () => {
  assert.equal(addressIn('172.24.4.0/24', 1), '172.24.4.1');
  assert.equal(addressIn('10.0.0.255/8', 1), '10.0.1.0');
  assert.equal(addressIn('fd0b:724::/64', 1), 'fd0b:724::1');
  assert.equal(addressIn('fd0b:724::10/64', 1), 'fd0b:724::11');
  assert.equal(addressIn('', 1), '');
});
