import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { cloudEntry } from '../cloud/client-files.ts';
import { offerClientConfig, withdrawClientConfig } from './client-config.ts';

const caFile = '/srv/cloud/ca.pem';
const entries = (password: string) =>
  ['bothy', 'bothy-demo']
    .map((name) =>
      cloudEntry(name, {
        ...{ publicUrl: 'https://127.0.0.1:8443', region: 'RegionOne', caFile, adminPassword: '' },
        ...{ user: name, password, project: name },
      }),
    )
    .join('');
const own = '  shop:\n    auth:\n      username: anna\n    cacert: ca.pem\n';

test('what somebody adds to the clients’ file stays when demo runs again, and when the cloud is removed', (t) => {
  const home = mkdtempSync(join(tmpdir(), 'bothy-home-'));
  const { HOME, SUDO_USER } = process.env;
  t.after(() => {
    rmSync(home, { recursive: true });
    process.env.HOME = HOME;
    if (SUDO_USER !== undefined) process.env.SUDO_USER = SUDO_USER;
  });
  process.env.HOME = home;
  delete process.env.SUDO_USER;
  const file = offerClientConfig(entries('first'))!;
  const bare = readFileSync(file, 'utf8');
  writeFileSync(file, `${bare}${own}# mine\n`);
  assert.equal(offerClientConfig(entries('second')), file);
  const again = readFileSync(file, 'utf8');
  assert.equal(again, `${bare.replaceAll('first', 'second')}${own}# mine\n`);
  withdrawClientConfig(caFile);
  const rest = readFileSync(file, 'utf8');
  assert.match(rest, /clouds:\n {2}shop:/);
  assert.doesNotMatch(rest, /bothy-demo:/);
  assert.equal(offerClientConfig(entries('third')), file, 'the next cloud has its place in it');
  writeFileSync(file, bare);
  withdrawClientConfig(caFile);
  assert.equal(existsSync(file), false);
  writeFileSync(file, `clouds:\n${own}`);
  assert.equal(offerClientConfig(entries('fourth')), undefined, 'a file that is not ours is left alone');
});
