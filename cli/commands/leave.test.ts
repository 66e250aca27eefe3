import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { cloudLayout } from '../cloud/layout.ts';
import { loadSettings } from '../settings.ts';
import { requireNoBackups } from './leave.ts';

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
