import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LayerId, newOrderedId } from '../../contract/ids.ts';
import { layerFileName } from '../../host/volume/names.ts';
import { testAuthority } from '../../test/support/certificates.ts';
import { cloudLayout } from '../cloud/layout.ts';
import { loadSettings } from '../settings.ts';
import { beForgotten, requireNoBackups } from './leave.ts';

test('a machine does not leave with backups of volumes that would be removed with its files', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-leave-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const settings = loadSettings(join(directory, 'data'), {});
  const backups = join(cloudLayout(settings.paths).hostData, 'backups');
  requireNoBackups(settings);
  mkdirSync(backups, { recursive: true });
  writeFileSync(join(backups, 'half.host.new'), '');
  requireNoBackups(settings);
  writeFileSync(join(backups, 'a.qcow2'), '');
  assert.throws(() => requireNoBackups(settings), { name: 'CommandError', message: /only, in .*\(a\.qcow2\)/ });
  // A place of its own outlives the host's files.
  requireNoBackups(loadSettings(join(directory, 'data'), { BOTHY_BACKUP_DIRECTORY: join(directory, 'share') }));
});

test('of a cloud that does not know the machine nothing is removed that nobody can be asked about', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-leave-'));
  const authority = await testAuthority();
  const control = createServer(await authority.issue('bothy-control'), (request, response) => {
    request.resume();
    response.writeHead(404).end('{"error": {"reason": "host_not_found", "message": "it could not be found"}}');
  });
  await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    control.closeAllConnections();
    control.close();
    rmSync(directory, { recursive: true });
  });
  const settings = loadSettings(join(directory, 'data'), {});
  const { hostCertificate, authorityFile, hostData } = cloudLayout(settings.paths);
  const { key, cert, ca } = await authority.issue('second');
  mkdirSync(join(settings.paths.data, 'certificates'), { recursive: true });
  for (const [file, text] of [
    [hostCertificate.key, key],
    [hostCertificate.certificate, cert],
    [authorityFile, ca],
  ] as const)
    writeFileSync(file, text);
  const controlUrl = `https://127.0.0.1:${(control.address() as AddressInfo).port}`;
  const joined = { controlUrl, southbound: '', hostName: '', address: '' };
  const leave = () => beForgotten(settings, { cloudId: 'c', hostId: 'h', createdAt: '', joined });
  const unknown = { name: 'CommandError', message: /does not know this machine/ };
  await leave();
  mkdirSync(join(hostData, 'servers', newOrderedId()), { recursive: true });
  await assert.rejects(leave(), unknown);
  rmSync(join(hostData, 'servers'), { recursive: true });
  mkdirSync(join(hostData, 'volumes/layers'), { recursive: true });
  await leave();
  writeFileSync(join(hostData, 'volumes/layers', layerFileName(newOrderedId<LayerId>())), '');
  await assert.rejects(leave(), unknown);
});
