import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../../test/support/until.ts';
import { silent } from '../logger.ts';
import { ControlAddresses, controlsFile, toldControls } from './addresses.ts';

function addresses(t: TestContext, controlUrls = ['https://a:8443']) {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'controls-'));
  t.after(() => rmSync(dataDirectory, { recursive: true }));
  const open = () => new ControlAddresses({ controlUrls, dataDirectory, log: silent });
  return { dataDirectory, open };
}

const streams = (...names: string[]) => names.map((name) => `wss://${name}:8443/host/v1/stream`);
const turn = (all: ControlAddresses, times: number) => Array.from({ length: times }, () => all.next());

test('each attempt takes the next address, those that control has told among them', (t) => {
  const all = addresses(t).open();
  assert.deepEqual(turn(all, 2), streams('a', 'a'));
  all.told(['https://a:8443', 'https://b:8443', 'https://c:8443']);
  assert.deepEqual(turn(all, 5), streams('b', 'c', 'a', 'b', 'c'));
  all.told(['https://c:8443']);
  assert.deepEqual(turn(all, 3), streams('a', 'c', 'a'), 'those of the configuration stay');
});

test('a control process that is told under another address than it was dialled by is dialled once', (t) => {
  const all = addresses(t, ['https://localhost:8443']).open();
  assert.deepEqual(turn(all, 1), streams('localhost'));
  all.told(['https://a:8443', 'https://b:8443']);
  assert.deepEqual(turn(all, 1), streams('b'));
  all.told(['https://b:8443', 'https://a:8443']);
  assert.deepEqual(turn(all, 3), streams('localhost', 'b', 'localhost'));
});

test('what was told is known to the next host process', async (t) => {
  const { open, dataDirectory } = addresses(t);
  open().told(['https://a:8443', 'https://b:8443']);
  await until('it to be saved', () => toldControls(dataDirectory).length === 2);
  assert.deepEqual(turn(open(), 3), streams('a', 'b', 'a'));
});

test('a damaged file of addresses counts as none', (t) => {
  const { open, dataDirectory } = addresses(t);
  for (const text of ['', '{', '{"urls": 1}', '{"urls": ["no address", 7, null]}', 'null']) {
    writeFileSync(controlsFile(dataDirectory), text);
    assert.deepEqual(turn(open(), 2), streams('a', 'a'), text);
  }
});

test('without any address nothing is begun', (t) => {
  assert.throws(addresses(t, []).open, /no control is named/);
});
