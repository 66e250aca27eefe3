/**
 * Consoles as people have them: the pages with noVNC and xterm.js in a real browser, over the API's own port and a real host's service, to
 * a real QEMU. The guest is one boot sector: it shows what is typed at its keyboard on its screen and says it on its serial port,
 * and says what comes in there. Who may open what is shown by test/simulated. BOTHY_SCREENSHOTS names a folder for pictures.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { consoleDialect } from '../../api/console/dialect.ts';
import { consoleUpgrades } from '../../api/console/index.ts';
import { consoleUrl } from '../../api/console/url.ts';
import { createApi } from '../../api/server.ts';
import type { ConsoleKind } from '../../contract/host/index.ts';
import { qemuMachine } from '../../host/index.ts';
import { typedBackDisk } from '../support/boot-sector-guest.ts';
import { Browser, noBrowser } from '../support/browser.ts';
import { hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const noQemu = existsSync('/usr/bin/qemu-system-x86_64') ? undefined : 'needs qemu-system-x86_64';
const options = { skip: noQemu ?? noBrowser ?? false, timeout: 120_000 };
const log = pino({ level: 'silent' });
const patience = { timeoutMs: 30_000 };

/** A guest that runs, and addresses that open its consoles: one token for all, for what tokens do is shown elsewhere. */
async function guest(t: TestContext) {
  const world = await hostWorld(t);
  chmodSync(world.directory, 0o755);
  const base = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
  const guests =
    process.getuid?.() === 0 ? { uid: 64055, gid: 64055, uids: { first: 0x6fff_f000, count: 256 } } : undefined;
  const machine = await qemuMachine({ ...base, guests, accelerator: 'tcg' });
  t.after(async () => {
    for (const { process } of await machine.launcher.list()) {
      process.kill();
      await process.exited;
    }
  });
  const host = world.host({ configuration: { guests, accelerator: 'tcg' }, dependencies: machine });
  await host.start();
  const server = wantedServer(await world.storeImage(typedBackDisk('guest is up\r\n')), {
    ...{ ports: [], memoryMiB: 64, diskGiB: 1, machine: { type: 'pc-q35-7.2', cpuModel: 'max', layout: 1 } },
  });
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running', 30_000);
  const at = { id: world.hostId, url: host.facts().url };
  const consoles = { open: (kind: ConsoleKind) => world.remote.console(at, server.id, kind) };
  const { upgrades, close } = consoleUpgrades({ consoles, log });
  const tls = await world.authority.issue('localhost');
  const api = await createApi({ tls, log, upgrades, dialects: [consoleDialect()] });
  await api.listen({ host: '127.0.0.1', port: 0 });
  t.after(async () => {
    close();
    await api.close();
  });
  const root = `https://127.0.0.1:${(api.server.address() as AddressInfo).port}`;
  const said = () => readFileSync(join(base.dataDirectory, 'servers', server.id, 'console.log'), 'latin1');
  return { url: (kind: ConsoleKind) => consoleUrl(root, kind, 'token').replace(/^wss/, 'https'), said };
}

async function browser(t: TestContext): Promise<Browser> {
  const started = await Browser.start();
  t.after(() => started[Symbol.asyncDispose]());
  return started;
}

async function keep(page: Browser, name: string): Promise<void> {
  const folder = process.env.BOTHY_SCREENSHOTS;
  if (folder) writeFileSync(join(folder, `${name}.png`), await page.screenshot());
}

/** Pixels of the screen that are lit. */
const lit = `(() => {
  const canvas = document.querySelector('#console canvas');
  if (!canvas?.width) return 0;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let lit = 0;
  for (let at = 0; at < data.length; at += 4) if (data[at] + data[at + 1] + data[at + 2] > 96) lit++;
  return lit;
})()`;

test('a screen is there soon after its page, and shows what is typed', options, async (t) => {
  const { url, said } = await guest(t);
  const page = await browser(t);
  await until('the guest to have begun', () => said().includes('guest is up'), patience);
  await page.open(url('vnc'));
  const firstFrameMs = await page.see<number>(`new Promise((resolve) => {
    const look = () => (${lit} > 0 ? resolve(performance.now()) : setTimeout(look, 5));
    look();
  })`);
  t.diagnostic(`first frame ${Math.round(firstFrameMs)} ms after the navigation`);
  await keep(page, 'vnc-first');
  const before = await page.see<number>(lit);
  await page.type('hello bothy 42');
  await until('the guest to hear it', () => said().includes('hello bothy 42'), patience);
  await until('the screen to show it', async () => (await page.see<number>(lit)) > before + 200, patience);
  await keep(page, 'vnc-typed');
  assert.equal(await page.see('location.search'), '', 'the token does not stand in the address any more');
  assert.deepEqual(page.failed, [], 'nothing was kept out or failed');
  // Set out for is a second, on a machine that does nothing else (docs/state.md).
  assert.ok(firstFrameMs < 10_000, `${firstFrameMs} ms`);
});

test('a serial console is a terminal', options, async (t) => {
  const { url, said } = await guest(t);
  const page = await browser(t);
  await page.open(url('serial'));
  await until('the page to be connected', () =>
    page.see("document.getElementById('state')?.textContent === 'connected'"),
  );
  await page.type('hello serial 42');
  await until('the guest to say it', () => said().includes('hello serial 42'), patience);
  const shown = "document.querySelector('.xterm-rows').textContent.replaceAll('\\u00a0', ' ')";
  await until(
    'the terminal to show it',
    async () => (await page.see<string>(shown)).includes('hello serial 42'),
    patience,
  );
  await keep(page, 'serial-typed');
  assert.deepEqual(page.failed, [], 'nothing was kept out or failed');
});
