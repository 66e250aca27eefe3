import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Authority } from '../../control/pki/authority.ts';
import { isDue } from '../../control/pki/renewal.ts';
import { until } from '../../test/support/until.ts';
import { Renewal } from './renewal.ts';

test('what is due is renewed while the cloud runs, and a failure is tried again', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-renewal-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const request = { name: 'api', commonName: 'x', names: ['localhost'], usages: ['server'] as const };
  // Its whole life is less than the second to which a certificate's end is rounded.
  const { certificate } = await (await Authority.open(directory, 'c', { leafLifeMs: 1 })).ensure(request);
  const before = readFileSync(certificate, 'utf8');
  assert.equal(isDue(before), true);
  const said: string[] = [];
  let attempts = 0;
  const renewal = new Renewal({
    directory,
    lookEveryMs: 1,
    log: (level) => void said.push(level),
    async renew() {
      if (++attempts === 1) throw new Error('the disk is full');
      await (await Authority.open(directory, 'c')).ensure(request);
    },
  });
  renewal.start();
  t.after(() => renewal.stop());
  await until('the renewal', () => said.length === 2);
  assert.deepEqual([said, attempts], [['error', 'info'], 2]);
  assert.notEqual(readFileSync(certificate, 'utf8'), before);
  const life = Date.parse(new Date().toISOString()) + 200 * 86_400_000;
  assert.deepEqual(
    [isDue(readFileSync(certificate)), isDue(readFileSync(certificate), life + 60 * 86_400_000)],
    [false, true],
  );
});
