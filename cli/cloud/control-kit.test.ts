import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { newId } from '../../contract/ids.ts';
import { CommandError } from '../command.ts';
import type { ControlConfiguration } from '../process/configuration.ts';
import { loadSettings } from '../settings.ts';
import { newControlCertificate } from './control-certificate.ts';
import {
  type ControlKit,
  dropKit,
  hasKit,
  kitConfiguration,
  kitForHere,
  parseKit,
  readKit,
  takeKit,
} from './control-kit.ts';
import { readIdentity, writeIdentity } from './identity.ts';
import { portsOf } from './preflight.ts';

const [cloudId, hostId] = [newId(), newId()];

/** A machine that has joined, and a kit for it. */
async function joined(t: TestContext, kitOf: { cloudId?: string; hostId?: string } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'kit-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const settings = loadSettings(join(directory, 'data'), {});
  mkdirSync(join(settings.paths.data, 'certificates'), { recursive: true });
  const cloud = { controlUrl: 'https://192.0.2.7:8443', southbound: '', hostName: 'zweite', address: '192.0.2.8' };
  writeIdentity(settings.paths, { cloudId, hostId, createdAt: '', joined: cloud });
  const pair = await newControlCertificate({
    ...{ directory: join(directory, 'authority'), cloudId },
    names: ['192.0.2.8', '[2001:db8::8]', ' cloud.example.org', ''],
  });
  const configuration = {
    ...{ cloudId: kitOf.cloudId ?? cloudId, databaseUrl: 'postgres://one,two/bothy', sealingKeys: ['k'] },
    ...{
      northbound: 'unix:/nb',
      publicUrl: 'https://cloud.example.org:8443',
      authority: { id: 'x', url: 'https://192.0.2.7:8444' },
    },
  } as unknown as ControlConfiguration;
  const kit: ControlKit = { hostId: kitOf.hostId ?? hostId, configuration, ...pair };
  return { settings, text: JSON.stringify(kit), kit };
}

test("the certificate is control's, for that machine's addresses and the names of the cloud", async (t) => {
  const { kit } = await joined(t);
  const certificate = new X509Certificate(kit.certificate);
  assert.match(certificate.subject, /^CN=bothy-control$/);
  for (const host of ['cloud.example.org', 'localhost']) assert.ok(certificate.checkHost(host), host);
  for (const ip of ['192.0.2.8', '2001:db8::8', '127.0.0.1']) assert.ok(certificate.checkIP(ip), ip);
});

test('what was taken is what control on this machine is told, but for what is its own', {
  skip: process.getuid!() !== 0,
}, async (t) => {
  const { settings, text } = await joined(t);
  assert.deepEqual([hasKit(settings), portsOf(settings).map(({ process }) => process)], [false, ['host']]);
  takeKit(settings, kitForHere(settings, text));
  assert.deepEqual([hasKit(settings), portsOf(settings).map(({ process }) => process)], [true, ['control', 'host']]);
  const secret = join(settings.paths.data, 'secrets/control-kit.json');
  assert.equal(statSync(secret).mode & 0o077, 0, 'for root alone');
  const told = kitConfiguration(settings, readIdentity(settings.paths)!, readKit(settings)!);
  assert.deepEqual(
    [told.databaseUrl, told.publicUrl, told.ownUrl, told.northbound, told.localHost.id, told.authority?.id],
    ['postgres://one,two/bothy', 'https://cloud.example.org:8443', 'https://192.0.2.8:8443', '', hostId, 'x'],
  );
  assert.match(readFileSync(told.tls.certificate, 'utf8'), /BEGIN CERTIFICATE/);
  dropKit(settings);
  assert.ok(!hasKit(settings) && !existsSync(told.tls.key) && !existsSync(told.tls.certificate));
});

test("what is no kit, another machine's or another cloud's is refused, and nothing is kept", async (t) => {
  for (const text of ['', '{}', 'null', '[]', '{"hostId":1}']) assert.throws(() => parseKit(text), CommandError, text);
  for (const whose of [{ cloudId: newId() }, { hostId: newId() }]) {
    const { settings, text } = await joined(t, whose);
    assert.throws(() => kitForHere(settings, text), /made for another machine/);
    assert.ok(!hasKit(settings) && !existsSync(join(settings.paths.data, 'secrets')));
  }
});
