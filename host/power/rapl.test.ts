import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Rapl } from './rapl.ts';

let directory: string;
let nowMs = 0;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'powercap-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function zone(key: string, name: string, microjoules: number, range = 262_143_328_850): void {
  const path = join(directory, key);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'name'), `${name}\n`);
  writeFileSync(join(path, 'energy_uj'), `${microjoules}\n`);
  writeFileSync(join(path, 'max_energy_range_uj'), `${range}\n`);
}
const rapl = () => new Rapl({ directory, now: () => nowMs });

test('packages and the memory beside them are summed, parts of a package are not', async () => {
  const set = (joules: number) => {
    zone('intel-rapl:0', 'package-0', joules * 1e6);
    zone('intel-rapl:1', 'package-1', joules * 1e6);
    zone('intel-rapl:0:0', 'core', joules * 1e6);
    zone('intel-rapl:0:1', 'dram', (joules * 1e6) / 10);
    zone('intel-rapl-mmio:0', 'package-0', joules * 1e6);
  };
  const counters = rapl();
  set(1000);
  assert.equal(await counters.watts(), null, 'the first look');
  nowMs += 10_000;
  set(2000);
  assert.equal(await counters.watts(), 210);
  nowMs += 10;
  set(2500);
  assert.equal(await counters.watts(), 210, 'too short a look is none');
});

test('a counter that begins anew has gone on', async () => {
  const counters = rapl();
  zone('intel-rapl:0', 'package-0', 262_143_000_000);
  await counters.watts();
  nowMs += 1000;
  zone('intel-rapl:0', 'package-0', 99_671_150);
  assert.equal(await counters.watts(), 100);
});

test('the whole platform goes before its parts', async () => {
  const counters = rapl();
  zone('intel-rapl:0', 'package-0', 0);
  zone('intel-rapl:1', 'psys', 0);
  await counters.watts();
  nowMs += 2000;
  zone('intel-rapl:0', 'package-0', 50e6);
  zone('intel-rapl:1', 'psys', 120e6);
  assert.equal(await counters.watts(), 60);
});

test('after a long time, without counters, and of what is no number nothing is said', async () => {
  const counters = rapl();
  assert.equal(await counters.watts(), null);
  nowMs += 5000;
  assert.equal(await counters.watts(), null);
  zone('intel-rapl:0', 'package-0', 0);
  nowMs += 5000;
  await counters.watts();
  nowMs += 3_600_000;
  zone('intel-rapl:0', 'package-0', 5e6);
  assert.equal(await counters.watts(), null, 'it may have begun anew more than once');
  nowMs += 5000;
  writeFileSync(join(directory, 'intel-rapl:0', 'energy_uj'), '<garbage>');
  assert.equal(await counters.watts(), null);
});
