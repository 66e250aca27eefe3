/** A machine that has joined has its certificate renewed by control, under the one before; real TLS between the two. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { nativeDialect } from '../../api/native/index.ts';
import { testHosts } from '../../api/native/testing.ts';
import { createApi } from '../../api/server.ts';
import { newOrderedId } from '../../contract/ids.ts';
import { testDatabase } from '../../control/kit/database/testing.ts';
import { writeWhole } from '../../control/kit/files.ts';
import { Authority } from '../../control/pki/authority.ts';
import { certificateRequestOf } from '../../control/pki/request.ts';
import { until } from '../../test/support/until.ts';
import { cloudPaths } from '../settings.ts';
import { renewJoined } from './host-certificate.ts';
import { cloudLayout } from './layout.ts';

const day = 86_400_000;
const usages = ['server', 'client'] as const;

test('the certificate of a joined machine is renewed when it is due, while the cloud knows the machine', async (t) => {
  await using db = await testDatabase();
  const directory = mkdtempSync(join(tmpdir(), 'bothy-renew-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const authority = await Authority.open(join(directory, 'authority'), 'cloud');
  const sign = (commonName: string, names: string[], csr: string, lifeMs = 90 * day) =>
    authority.sign(csr, { commonName, names, usages, lifeMs });
  const hosts = testHosts(db, {
    ca: authority.ca,
    certify: async (_host, { hostId, addresses, csr }) => ({
      certificate: await sign(hostId, [hostId, ...addresses], csr),
      ca: authority.ca,
    }),
  });
  const own = await authority.ensure({ name: 'api', commonName: 'bothy-control', names: ['127.0.0.1'], usages });
  const read = (file: string) => readFileSync(file, 'utf8');
  const app = await createApi({
    tls: { key: read(own.key), cert: read(own.certificate), ca: authority.ca },
    dialects: [nativeDialect({ identity: {}, hosts } as never)],
    log: pino({ level: 'silent' }),
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  t.after(() => app.close());
  const control = { controlUrl: `https://127.0.0.1:${(app.server.address() as AddressInfo).port}` };

  const paths = cloudPaths(join(directory, 'data'));
  const { hostCertificate, authorityFile } = cloudLayout(paths);
  const hostId = newOrderedId();
  await sql`insert into host (id, name, facts) values (${hostId}, 'second', '{"url": "https://127.0.0.1:8444"}')`.execute(
    db.database.query,
  );
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const first = await sign(hostId, [hostId, '192.0.2.7', 'fd00::7'], await certificateRequestOf(key));
  for (const [file, text] of [
    [hostCertificate.key, key],
    [hostCertificate.certificate, first],
    [authorityFile, authority.ca],
  ] as const)
    writeWhole(file, text, { mode: 0o600 });

  assert.deepEqual(await renewJoined({ paths }, control), []);
  const due = Date.now() + 70 * day;
  assert.deepEqual(await renewJoined({ paths }, control, due), [hostCertificate.certificate]);
  const renewed = new X509Certificate(read(hostCertificate.certificate));
  assert.notEqual(renewed.serialNumber, new X509Certificate(first).serialNumber);
  assert.deepEqual([renewed.subject, renewed.checkPrivateKey(privateKey)], [`CN=${hostId}`, true]);
  assert.deepEqual(
    ['192.0.2.7', 'fd00::7'].filter((address) => renewed.checkIP(address)),
    ['192.0.2.7', 'fd00::7'],
  );
  assert.equal(renewed.checkIP('127.0.0.1'), undefined, 'where the host says that it is, and control itself');

  // The machine was off for longer than its certificate lives.
  const over = await sign(hostId, [hostId, '192.0.2.7'], await certificateRequestOf(key), 1);
  await until('it to be over', () => Date.now() > Date.parse(new X509Certificate(over).validTo) + 1000);
  writeWhole(hostCertificate.certificate, over, { mode: 0o600 });
  assert.deepEqual(await renewJoined({ paths }, control), [hostCertificate.certificate]);
  const back = read(hostCertificate.certificate);
  assert.ok(new X509Certificate(back).checkIP('192.0.2.7'));
  // One that is over and that another authority signed is nobody's.
  const forger = await Authority.open(join(directory, 'forger'), 'cloud');
  const forged = { commonName: hostId, names: [hostId, '127.0.0.1'], usages, lifeMs: 1 };
  writeWhole(hostCertificate.certificate, await forger.sign(await certificateRequestOf(key), forged), { mode: 0o600 });
  await assert.rejects(renewJoined({ paths }, control, due), { message: /no host's certificate/ });
  writeWhole(hostCertificate.certificate, back, { mode: 0o600 });

  await sql`delete from host where id = ${hostId}`.execute(db.database.query);
  await assert.rejects(renewJoined({ paths }, control, due), { name: 'CommandError', message: /could not be found/ });
  assert.equal(read(hostCertificate.certificate), back);
});
