/** `bothy bmc`: what is said, shown and asked of a BMC, a fake on the wire. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type BmcWorld, bmcWorld } from '../../control/compute/power/testing.ts';
import { type ServerCloud, serverCloud } from '../../control/compute/server/testing.ts';
import { type TestDatabase, testDatabase } from '../../control/kit/database/testing.ts';
import { FakeBmc } from '../../simulator/redfish/index.ts';
import { type TestTls, testAuthority } from '../../test/support/certificates.ts';
import { readPassword } from '../cloud/bmc.ts';
import { runBmcVerb } from './bmc.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let world: BmcWorld;
let directory: string;
let tls: TestTls;
let bmc: FakeBmc;
let url: string;
let id: string;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  world = await bmcWorld(db.database, cloud.admin);
  directory = mkdtempSync(join(tmpdir(), 'bothy-bmc-'));
  tls = await (await testAuthority()).issue('bmc');
  bmc = new FakeBmc({ tls, user: 'root', password: 'calvin 小屋' });
  url = await bmc.listen();
  id = await cloud.addHost({ name: '小屋' });
});
after(async () => {
  rmSync(directory, { recursive: true });
  await bmc.close();
  await world[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

/** @returns what it has said */
async function run(verb: string, options: Record<string, string | true> = {}): Promise<string> {
  const said: string[] = [];
  const write = process.stdout.write;
  process.stdout.write = ((text: string) => said.push(String(text)) > 0) as typeof write;
  try {
    await runBmcVerb(
      { service: world.service, hostOf: async () => ({ id, name: '小屋' }) },
      {
        ...{ verb, name: '小屋' },
        args: {
          flag: (name) => options[name] === true,
          text: (name) => (typeof options[name] === 'string' ? options[name] : undefined),
        },
      },
    );
  } finally {
    process.stdout.write = write;
  }
  return said.join('');
}

test('a BMC is said with a password from a file, which nothing shows, then tested, accepted, and turns the host off and on', async () => {
  const file = join(directory, 'password');
  writeFileSync(file, 'calvin 小屋\n');
  const said = { url, user: 'root', 'password-file': file };
  await assert.rejects(run('set', said), { name: 'CommandError', message: /SHA-256/, cure: /--fingerprint/ });
  await run('set', { ...said, fingerprint: new X509Certificate(tls.cert).fingerprint256 });
  const shown = await run('show');
  assert.match(shown, new RegExp(url));
  assert.doesNotMatch(shown, /calvin/);
  assert.match(await run('test'), /not shown: one of both tells no UUID/);
  await assert.rejects(run('off', { force: true, yes: true }), { name: 'CommandError', message: /bothy bmc accept/ });
  assert.match(await run('accept'), /Contoso 3500 437XR1138R2/);
  await assert.rejects(run('off', { force: true }), { name: 'CommandError', cure: /--yes/ });
  assert.deepEqual(bmc.resets, []);
  await run('off', { force: true, yes: true });
  await run('on');
  assert.deepEqual(bmc.resets, ['ForceOff', 'On']);
  await run('set', { 'no-fences': true });
  assert.match(await run('show'), /is lost +no/);
  await run('remove');
  await assert.rejects(run('show'), { name: 'CommandError', message: /nobody has said/ });
});

test('a password comes from a file before the environment, whole but for the line’s end', async () => {
  const file = join(directory, 'other');
  writeFileSync(file, ' with blanks \r\n');
  assert.equal(await readPassword(file, { BOTHY_BMC_PASSWORD: 'x' }), ' with blanks ');
  assert.equal(await readPassword(undefined, { BOTHY_BMC_PASSWORD: 'x' }), 'x');
});
