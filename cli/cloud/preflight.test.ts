import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSettings } from '../settings.ts';
import { freePort } from './free-port.ts';
import { checkPorts } from './preflight.ts';

test('one port for two things is named before anything listens, such as that of an older cloud which is another one now', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-ports-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const [one, two, three] = [await freePort(), await freePort(), await freePort()];
  const settings = (southbound: number) =>
    loadSettings(directory, {
      ...{ BOTHY_LISTEN: '127.0.0.1', BOTHY_PORT: String(one), BOTHY_HOST_PORT: String(two) },
      BOTHY_SOUTHBOUND_PORT: String(southbound),
    });
  await checkPorts(settings(three));
  await assert.rejects(checkPorts(settings(two)), {
    message: /is for the host service already/,
    cure: /southbound_port/,
  });
});
