import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { tryRun } from '../run.ts';
import { type AptPaths, allowServiceStarts, denyServiceStarts, missingPackages } from './apt.ts';

let directory: string;
let paths: AptPaths;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bothy-policy-'));
  paths = { policyFile: join(directory, 'policy-rc.d'), savedPolicyFile: join(directory, 'policy-rc.d.before') };
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const asked = async (installing: boolean) =>
  (await tryRun(paths.policyFile, ['haproxy', 'start'], { env: { BOTHY_INSTALLING: installing ? '1' : '' } })).code;

test('only our own package scripts are told no, and afterwards nothing is left', async () => {
  denyServiceStarts(paths);
  assert.equal(await asked(true), 101);
  assert.equal(await asked(false), 0);
  allowServiceStarts(paths);
  assert.equal(existsSync(paths.policyFile), false);
});

test("a machine's own policy answers everybody else, and comes back as it was", async () => {
  const own = '#!/bin/sh\nexit 104\n';
  writeFileSync(paths.policyFile, own);
  chmodSync(paths.policyFile, 0o755);
  denyServiceStarts(paths);
  assert.equal(await asked(true), 101);
  assert.equal(await asked(false), 104);
  // A run that was cut short and begun again must not take our file for the machine's.
  denyServiceStarts(paths);
  assert.equal(await asked(false), 104);
  allowServiceStarts(paths);
  allowServiceStarts(paths);
  assert.equal(readFileSync(paths.policyFile, 'utf8'), own);
  assert.equal(existsSync(paths.savedPolicyFile), false);
});

test('packages that are not installed are found', async () => {
  const missing = await missingPackages([
    { name: 'bash', why: '' },
    { name: 'there-is-no-such-package', why: '' },
  ]);
  assert.deepEqual(
    missing.map(({ name }) => name),
    ['there-is-no-such-package'],
  );
});
