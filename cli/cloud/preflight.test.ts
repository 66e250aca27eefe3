import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSettings } from '../settings.ts';
import { freePort } from './free-port.ts';
import { ensureIdentity } from './identity.ts';
import { checkCards, checkDatapath, checkDisk, checkPorts } from './preflight.ts';

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

test("the kernel's Open vSwitch is asked for in vain where the kernel has none, and the cure is named", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-datapath-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const settings = (datapath: string) => loadSettings(directory, { BOTHY_DATAPATH: datapath });
  await assert.rejects(
    checkDatapath(settings('system'), async () => false),
    { message: /no module openvswitch/, cure: /set it to auto/ },
  );
  await checkDatapath(settings('system'), async () => true);
  await checkDatapath(settings('auto'), async () => false);
});

test('a card that a setting names and the machine lacks is told before anything is changed, with the setting', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-cards-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const [setting, value] of [
    ['external_interface', 'nic77'],
    ['tunnels', 'nic77:10.9.0.1/24'],
  ]) {
    const settings = loadSettings(directory, { [`BOTHY_${setting!.toUpperCase()}`]: value });
    const correct = new RegExp(`correct '${setting}'`);
    assert.throws(() => checkCards(settings), { message: /no network card 'nic77'/, cure: correct });
  }
  checkCards(loadSettings(directory, {}));
});

test('a cloud that is there starts on a disk that is too full for a new one, and what may be deleted is named', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-disk-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const settings = loadSettings(directory, {});
  assert.throws(() => checkDisk(settings, 900), {
    message: /only 900 MiB free; .* 1024 MiB/,
    cure: /^make room, or name/,
  });
  ensureIdentity(settings.paths);
  mkdirSync(settings.paths.cache);
  checkDisk(settings, 900);
  assert.throws(() => checkDisk(settings, 3), { message: /only 3 MiB/, cure: /cache may be deleted/ });
});
