/** Consoles of guests through the API's port: by a token, once, with the bytes as they are, and ended by whatever ends them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { WebSocket } from 'ws';
import type { ServerId } from '../../contract/ids.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';
import { patienceMs, until } from '../support/until.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
let id: ServerId;
before(async () => {
  cloud = await SimulatedCloud.start();
  tenancy = await makeTenancy(cloud);
  id = await createServer(tenancy, 'seen 🏔');
  await reaches(cloud, tenancy, id, 'ACTIVE');
});
after(() => cloud[Symbol.asyncDispose]());

const remote = { vnc: { protocol: 'vnc', type: 'novnc' }, serial: { protocol: 'serial', type: 'serial' } } as const;
type Kind = keyof typeof remote;

async function urlOf(kind: Kind): Promise<string> {
  const { body } = await tenancy.client.call(
    ...(['POST', 'compute', `/servers/${id}/remote-consoles`, { remote_console: remote[kind] }] as const),
    { 'openstack-api-version': 'compute 2.96' },
  );
  const { remote_console: made } = body;
  assert.deepEqual([made.protocol, made.type], [remote[kind].protocol, remote[kind].type]);
  if (kind === 'serial') return made.url;
  const { origin, searchParams, pathname } = new URL(made.url);
  assert.equal(pathname, '/console/vnc.html');
  return `${origin.replace('https', 'wss')}/${searchParams.get('path')}`;
}

/** Everything that came is in `bytes`; `closed` has the code. */
function open(url: string) {
  const socket = new WebSocket(url, ['binary'], { ca: readFileSync(cloud.identity.ca), handshakeTimeout: patienceMs });
  let bytes = Buffer.alloc(0);
  socket.on('message', (data: Buffer) => {
    bytes = Buffer.concat([bytes, data]);
  });
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  const opened = new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.on('error', () => {});
  opened.catch(() => {});
  return {
    ...{ socket, closed, opened },
    has: (what: Buffer | string) => until('bytes of the console', () => bytes.includes(what)),
    get bytes() {
      return bytes;
    },
  };
}

const refusedWith = (url: string) =>
  new Promise<number | undefined>((resolve) => {
    const socket = new WebSocket(url, { ca: readFileSync(cloud.identity.ca) });
    socket.once('unexpected-response', (_request, { statusCode }) => {
      resolve(statusCode);
      socket.terminate();
    });
    socket.once('open', () => resolve(101)).on('error', () => {});
  });

test('a screen is opened by noVNC’s protocol, each answer in its turn', async () => {
  const screen = open(await urlOf('vnc'));
  await screen.has('RFB 003.008\n');
  assert.equal(screen.socket.protocol, 'binary');
  for (const word of ['RFB 003.008\n', '\x01', '\x01']) screen.socket.send(Buffer.from(word));
  await screen.has('QEMU');
  assert.equal(screen.bytes.length, 12 + 2 + 4 + 24 + 4);
  screen.socket.close();
  assert.equal(await screen.closed, 1005);
});

test('a serial console hands on any bytes, as many as there are', async () => {
  const serial = open(await urlOf('serial'));
  await serial.opened;
  const typed = Buffer.from(randomBytes(60_000).toString('base64'));
  for (let at = 0; at < typed.length; at += 10_000) serial.socket.send(typed.subarray(at, at + 10_000));
  await serial.has(typed);
  serial.socket.close();
  await serial.closed;
});

test('what is no WebSocket’s handshake is refused, and does not use the token up', async () => {
  const url = await urlOf('serial');
  const good = {
    ...{ connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
    'sec-websocket-key': randomBytes(16).toString('base64'),
  };
  for (const [name, value] of [
    ['sec-websocket-key', 'short'],
    ['sec-websocket-version', '99'],
    ['upgrade', 'something-else'],
  ] as const) {
    const status = await new Promise((resolve) =>
      get(url.replace('wss', 'https'), { ca: readFileSync(cloud.identity.ca), headers: { ...good, [name]: value } })
        .once('response', ({ statusCode }) => resolve(statusCode))
        .once('error', resolve),
    );
    assert.equal(status, 400, name);
  }
  const serial = open(url);
  await serial.opened;
  serial.socket.terminate();
});

test('a token opens its own console, once, in its time', async () => {
  const [vnc, serial] = [await urlOf('vnc'), await urlOf('serial')];
  const screen = open(vnc);
  await screen.opened;
  assert.equal(await refusedWith(vnc), 401, 'it was used');
  assert.equal(await refusedWith(serial.replace('/serial', '/vnc')), 401, 'it is of the other console');
  const late = await urlOf('serial');
  await sql`update console_token set expires_at = now() - interval '1 second'`.execute(cloud.database.query);
  assert.equal(await refusedWith(late), 401, 'its time is over');
  for (const none of ['', '?token=', '?token=x', `?token=${'x'.repeat(200)}`, '?token=%00', '?x=1&token=a&token=b']) {
    assert.equal(await refusedWith(late.replace(/\?.*/, none)), 401, none);
  }
  screen.socket.terminate();
  await urlOf('vnc');
  const left = await cloud.count(sql`select count(*) as n from console_token`);
  assert.equal(left, 1, 'what was not used in time is gone');
  const { rows } = await sql<{ row: string }>`select console_token::text as row from console_token`.execute(
    cloud.database.query,
  );
  assert.ok(!rows[0]!.row.includes(new URL(await urlOf('serial')).searchParams.get('token')!));
});

test('however many tokens are asked for, the newest of a server are kept and open it', async () => {
  const urls: string[] = [];
  for (let n = 0; n < 36; n++) urls.push(await urlOf('serial'));
  const kept = await cloud.count(sql`select count(*) as n from console_token`);
  assert.equal(kept, 32);
  assert.equal(await refusedWith(urls[0]!), 401);
  assert.equal(await refusedWith(urls.at(-1)!), 101);
  await sql`delete from console_token`.execute(cloud.database.query);
});

test('of two who open the same serial console at once the last has it', async () => {
  const first = open(await urlOf('serial'));
  await first.opened;
  const second = open(await urlOf('serial'));
  await second.opened;
  assert.equal(await first.closed, 1001);
  second.socket.send(Buffer.from('mine'));
  await second.has('mine');
  const both = await Promise.all([urlOf('serial'), urlOf('serial')]);
  const racing = both.map(open);
  await Promise.all(racing.map(({ opened }) => opened));
  assert.equal(await Promise.race(racing.map(({ closed }) => closed)), 1001);
  for (const { socket } of racing) socket.terminate();
});

test('of too many who look at one screen the first has to go', async () => {
  const screens: ReturnType<typeof open>[] = [];
  for (let n = 0; n < 17; n++) {
    screens.push(open(await urlOf('vnc')));
    await screens.at(-1)!.has('RFB 003.008');
  }
  await until('the first to be gone', () => screens[0]!.socket.readyState === WebSocket.CLOSED);
  assert.equal(screens.filter(({ socket }) => socket.readyState === WebSocket.OPEN).length, 16);
  for (const { socket } of screens) socket.terminate();
});

test('a reader of a serial console that stops is let go, and the guest writes on', async () => {
  const slow = open(await urlOf('serial'));
  await slow.opened;
  slow.socket.pause();
  const guest = cloud.hosts[0]!.machine.qemus.guest(id)!;
  const line = 'x'.repeat(100_000);
  let written = 0;
  await until('it to be let go', () => {
    guest.write(line);
    written++;
    return guest.serialReaders === 0;
  });
  assert.ok(written < 400, `${written} lines waited`);
  slow.socket.terminate();
});

test('a console ends with its guest, with control, and with its host', async () => {
  const [guest, screen] = [open(await urlOf('serial')), open(await urlOf('vnc'))];
  await Promise.all([guest.opened, screen.opened]);
  await tenancy.client.must('POST', 'compute', `/servers/${id}/action`, { 'os-stop': null });
  assert.deepEqual(await Promise.all([guest.closed, screen.closed]), [1001, 1001]);
  await reaches(cloud, tenancy, id, 'SHUTOFF');
  const stopped = await tenancy.client.call('POST', 'compute', `/servers/${id}/action`, {
    'os-getSerialConsole': { type: 'serial' },
  });
  assert.equal(stopped.status, 409);
  await tenancy.client.must('POST', 'compute', `/servers/${id}/action`, { 'os-start': null });
  await reaches(cloud, tenancy, id, 'ACTIVE');

  const beside = open(await urlOf('vnc'));
  await beside.opened;
  await cloud.control.stop();
  assert.equal(await beside.closed, 1001);
  await cloud.startControl();
  tenancy = { ...tenancy, client: await cloud.client() };
  await cloud.until('the host to be back', async () => (await cloud.connectedHosts()) === 1);

  const left = open(await urlOf('vnc'));
  await left.opened;
  const unused = await urlOf('vnc');
  cloud.hosts[0]!.kill();
  assert.equal(await left.closed, 1001);
  assert.equal(await refusedWith(unused), 503);
  await cloud.hosts[0]!.start();
  await deleteServer(cloud, tenancy, id);
  await reaches(cloud, tenancy, id, 'gone');
});

test('a page of elsewhere opens no console, and does not use the address up', async () => {
  id = await createServer(tenancy, 'pages');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  const url = await urlOf('serial');
  const from = (origin: string) =>
    new WebSocket(url, ['binary'], { ca: readFileSync(cloud.identity.ca), origin }).on('error', () => {});
  for (const origin of ['https://elsewhere.example', 'null']) {
    const status = await new Promise((resolve) =>
      from(origin).once('unexpected-response', (_request, { statusCode }) => resolve(statusCode)),
    );
    assert.equal(status, 403, origin);
  }
  const own = from(new URL(url.replace(/^wss/, 'https')).origin);
  await new Promise<void>((resolve, reject) => own.once('open', resolve).once('close', reject));
  own.terminate();
});

test('the pages let in nothing from elsewhere, and every part of them is there; nothing else is', async () => {
  const get = (path: string) => tenancy.client.raw('GET', `https://127.0.0.1:${cloud.port}/console/${path}`);
  for (const [name, library] of [
    ['vnc.html', 'novnc-'],
    ['vnc', 'novnc-'],
    ['serial', 'xterm-'],
  ] as const) {
    const { status, headers, body } = await get(`${name}?token=x`);
    assert.equal(status, 200);
    assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'self';/);
    assert.deepEqual([headers['cache-control'], headers['referrer-policy']], ['no-store', 'no-referrer']);
    const parts = [...String(body).matchAll(/(?:src|href|data-library)="\/console\/([^"]+)"/g)].map(
      ([, part]) => part!,
    );
    assert.ok(parts.filter((part) => part.startsWith(library)).length >= 2, String(body));
    for (const part of parts) {
      const answer = await get(part);
      assert.deepEqual([answer.status, answer.headers['x-content-type-options']], [200, 'nosniff'], part);
    }
  }
  for (const path of [
    '',

    '../server.ts',
    '%2e%2e/dialect.ts',
    'novnc/package.json',
    'serial.html',
    '%00',
    'x'.repeat(5000),
  ]) {
    const { status } = await get(path);
    assert.ok(status === 404 || status === 400, `${path.slice(0, 50)}: ${status}`);
  }
});
