#!/usr/bin/env node
import fs from 'node:fs';
// Load driver that talks only standard OpenStack APIs (endpoints from the service catalog), so that any cloud with
// those APIs can be measured with the same work. Plain Node >= 20, no dependencies, keep-alive connections.
//
//   . openrc; node openstack-load.mjs [first | keystone neutron nova nova1000 cinder glance swift ...]   (default: all but nova1000)
//
// Environment: OS_AUTH_URL OS_USERNAME OS_PASSWORD OS_PROJECT_NAME [OS_USER_DOMAIN_NAME OS_PROJECT_DOMAIN_NAME
// OS_REGION_NAME OS_INTERFACE], OS_IMAGE (tiny), OS_FLAVOR (m1.tiny), BENCH_ROUNDS (3), BENCH_OUT (JSON file),
// BENCH_SERVERS (50), BENCH_MANY (1000), BENCH_MANY_S (900: most seconds to spend on reaching BENCH_MANY),
// BENCH_PORTS (1000), BENCH_MAX_S (12: most seconds one timed loop runs).
// BENCH_RUN_DIR: a folder of *.pid files, each the pid of a session leader of the cloud under test: adds the CPU time the
// cloud spent per operation (it holds still when other work slows the clock) and the share of CPU that others took.
// "first" makes a network, a subnet and one server, prints the seconds to ACTIVE, and deletes the server.
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';

const E = process.env,
  num = (k, d) => Number(E[k] ?? d);
const need = (k) => E[k] ?? (console.error(`${k} is not set`), process.exit(2));
const ROUNDS = num('BENCH_ROUNDS', 3),
  SERVERS = num('BENCH_SERVERS', 50),
  MANY = num('BENCH_MANY', 1000),
  MANY_S = num('BENCH_MANY_S', 900),
  PORTS = num('BENCH_PORTS', 1000),
  MAX_S = num('BENCH_MAX_S', 12);
const opt = { keepAlive: true, maxSockets: 64, scheduling: 'lifo' };
const agents = { 'http:': new http.Agent(opt), 'https:': new https.Agent(opt) };
const now = () => performance.now(),
  sleep = (ms) => new Promise((r) => setTimeout(r, ms));
let token,
  catalog,
  resets = 0,
  errors = 0,
  requests = 0;
const tag = 'bench-' + process.pid.toString(36) + Date.now().toString(36).slice(-4);

function once(method, url, body, headers) {
  return new Promise((ok, no) => {
    const u = new URL(url);
    const r = (u.protocol === 'https:' ? https : http).request(
      u,
      { method, headers, agent: agents[u.protocol] },
      (res) => {
        const parts = [];
        let size = 0;
        res.on('data', (d) => {
          size += d.length;
          if (size <= 16 << 20) parts.push(d);
        });
        res.on('end', () => ok({ status: res.statusCode, headers: res.headers, size, raw: parts }));
        res.on('error', no);
      },
    );
    r.setTimeout(120000, () => r.destroy(new Error('timeout ' + url)));
    r.on('error', (e) => {
      e.reused = r.reusedSocket;
      no(e);
    });
    r.end(body);
  });
}
async function call(method, url, body, headers = {}) {
  const h = { ...(token && { 'x-auth-token': token }), accept: 'application/json', ...headers };
  if (body !== undefined && !Buffer.isBuffer(body)) {
    body = Buffer.from(JSON.stringify(body));
    h['content-type'] ??= 'application/json';
  }
  if (body !== undefined) h['content-length'] = body.length;
  requests++;
  for (let n = 0; ; n++) {
    try {
      const r = await once(method, url, body, h);
      if (r.status >= 400) {
        errors++;
        throw Object.assign(
          new Error(`${method} ${url}: ${r.status} ${Buffer.concat(r.raw).toString().slice(0, 300)}`),
          { status: r.status },
        );
      }
      return r;
    } catch (e) {
      if (!(e.code === 'ECONNRESET' || e.code === 'EPIPE') || !e.reused || n > 3) throw e;
      resets++;
    } // a kept connection the server closed
  }
}
const json = (r) => JSON.parse(Buffer.concat(r.raw).toString());
const get = async (url) => json(await call('GET', url));
const post = async (url, body) => json(await call('POST', url, body));
const del = (url) =>
  call('DELETE', url).catch((e) => {
    if (e.status !== 404) throw e;
    errors--;
  });

const authBody = () => ({
  auth: {
    identity: {
      methods: ['password'],
      password: {
        user: {
          name: need('OS_USERNAME'),
          password: need('OS_PASSWORD'),
          domain: { name: E.OS_USER_DOMAIN_NAME ?? 'Default' },
        },
      },
    },
    scope: { project: { name: need('OS_PROJECT_NAME'), domain: { name: E.OS_PROJECT_DOMAIN_NAME ?? 'Default' } } },
  },
});
const AUTH = need('OS_AUTH_URL')
  .replace(/\/$/, '')
  .replace(/(\/v3)?$/, '/v3');
async function login() {
  const r = await call('POST', AUTH + '/auth/tokens', authBody(), { 'x-auth-token': '' });
  token = r.headers['x-subject-token'];
  catalog = json(r).token.catalog;
}
function ep(...types) {
  for (const t of types)
    for (const s of catalog)
      if (s.type === t)
        for (const e of s.endpoints)
          if (
            e.interface === (E.OS_INTERFACE ?? 'public') &&
            (!E.OS_REGION_NAME || e.region === E.OS_REGION_NAME || e.region_id === E.OS_REGION_NAME)
          )
            return e.url.replace(/\/$/, '');
  throw new Error('no endpoint for ' + types);
}
const versioned = (u, v) => (/\/v\d/.test(u) ? u : `${u}/${v}`);
const nova = () => ep('compute'),
  neutron = () => versioned(ep('network'), 'v2.0'),
  cinder = () => ep('volumev3', 'block-storage'),
  glance = () => versioned(ep('image'), 'v2'),
  swift = () => ep('object-store');

// ---- measuring
const results = {}; // name -> { unit, better, rounds: [] }
const put = (name, unit, value) => (results[name] ??= { unit, rounds: [] }).rounds.push(value);
const pct = (a, p) => a[Math.min(a.length - 1, Math.ceil(a.length * p) - 1)];
const med = (a) => {
  const s = [...a].sort((x, y) => x - y),
    n = s.length;
  return n % 2 ? s[n >> 1] : (s[n / 2 - 1] + s[n / 2]) / 2;
};
// CPU seconds: of the sessions named in BENCH_RUN_DIR, of this process, of the whole machine
function cpu() {
  const me = process.cpuUsage(),
    c = { own: 0, me: (me.user + me.system) / 1e6, busy: 0, at: now() / 1000 };
  if (!E.BENCH_RUN_DIR) return c;
  const s = new Set(
    fs
      .readdirSync(E.BENCH_RUN_DIR)
      .filter((f) => f.endsWith('.pid'))
      .map((f) => fs.readFileSync(`${E.BENCH_RUN_DIR}/${f}`, 'utf8').trim()),
  );
  for (const p of fs.readdirSync('/proc'))
    if (/^\d+$/.test(p))
      try {
        const f = fs
          .readFileSync(`/proc/${p}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ');
        if (s.has(f[3])) c.own += (+f[11] + +f[12]) / 100;
      } catch {}
  const t = fs.readFileSync('/proc/stat', 'utf8').split('\n')[0].trim().split(/\s+/).slice(1, 9).map(Number);
  c.busy = (t.reduce((a, b) => a + b) - t[3] - t[4]) / 100;
  return c;
}
const others = [];
function spent(name, a, n) {
  const b = cpu();
  if (!E.BENCH_RUN_DIR) return;
  put(`${name} | cloud CPU`, 'ms/op', ((b.own - a.own) * 1000) / n);
  others.push(Math.max(0, b.busy - a.busy - (b.own - a.own) - (b.me - a.me)) / (b.at - a.at) / os.cpus().length);
}
// runs fn(i) until `n` calls were made or MAX_S passed, `c` at a time
async function load(name, c, n, fn) {
  const lat = [];
  let i = 0;
  const c0 = cpu(),
    t0 = now();
  await Promise.all(
    Array.from({ length: Math.min(c, n) }, async () => {
      while (i < n && now() - t0 < MAX_S * 1000) {
        const t = now();
        await fn(i++);
        lat.push(now() - t);
      }
    }),
  );
  const s = (now() - t0) / 1000;
  lat.sort((a, b) => a - b);
  if (name) {
    put(`${name} | ops/s`, '/s', lat.length / s);
    put(`${name} | p50`, 'ms', pct(lat, 0.5));
    put(`${name} | p99`, 'ms', pct(lat, 0.99));
    spent(name, c0, lat.length);
  }
  return { n: lat.length, s };
}
const each = (items, c, fn) => {
  let i = 0;
  return Promise.all(
    Array.from({ length: c }, async () => {
      while (i < items.length) await fn(items[i++]);
    }),
  );
};
async function until(fn, what, seconds = 120, every = 50) {
  for (const t = now(); now() - t < seconds * 1000; await sleep(every)) {
    const v = await fn();
    if (v) return v;
  }
  throw new Error('timeout waiting for ' + what);
}
const note = (s) => console.error(`${new Date().toISOString().slice(11, 19)} ${s}`);

// ---- pieces of work
async function network(name, cidr = '10.64.0.0/16') {
  const had = (await get(`${neutron()}/networks?name=${name}`)).networks.find((n) => n.name === name);
  if (had) return had.id;
  const id = (await post(neutron() + '/networks', { network: { name } })).network.id;
  await post(neutron() + '/subnets', { subnet: { name, network_id: id, ip_version: 4, cidr } });
  return id;
}
let spec;
async function serverSpec() {
  if (spec) return spec;
  const pick = (a, n) =>
    (
      a.find((x) => x.name === n) ??
      (() => {
        throw new Error('no ' + n);
      })()
    ).id;
  return (spec = {
    imageRef: pick((await get(`${glance()}/images?name=${E.OS_IMAGE ?? 'tiny'}`)).images, E.OS_IMAGE ?? 'tiny'),
    flavorRef: pick((await get(nova() + '/flavors')).flavors, E.OS_FLAVOR ?? 'm1.tiny'),
    networks: [{ uuid: await network('bench-net') }],
  });
}
const boot = async (name, more = {}) =>
  (await post(nova() + '/servers', { server: { name, ...(await serverSpec()), ...more } })).server?.id;
async function active(id) {
  await until(async () => {
    const s = (await get(`${nova()}/servers/${id}`)).server;
    if (s.status === 'ERROR') throw new Error('server in ERROR: ' + JSON.stringify(s.fault));
    return s.status === 'ACTIVE';
  }, 'ACTIVE');
}
const servers = async (prefix, status) => {
  // ids, paged
  const out = [];
  let url = `${nova()}/servers?name=${prefix}&limit=1000${status ? '&status=' + status : ''}`;
  for (;;) {
    const b = await get(url),
      l = b.servers;
    out.push(...l.filter((s) => s.name.startsWith(prefix)));
    const next = b.servers_links?.find((x) => x.rel === 'next')?.href;
    if (!next || !l.length) return out;
    url = next;
  }
};
const allActive = (prefix, n, secs, every = 200) =>
  until(
    async () =>
      (await servers(prefix, 'ACTIVE')).length >= n ||
      ((await servers(prefix, 'ERROR')).length && Promise.reject(new Error('a server is in ERROR'))),
    `${n} ACTIVE`,
    secs,
    every,
  );
async function clear(prefix) {
  const t = now(),
    l = await servers(prefix);
  await each(l, 8, (s) => del(`${nova()}/servers/${s.id}`));
  await until(async () => !(await servers(prefix)).length, 'servers gone', 900, 200);
  return l.length / ((now() - t) / 1000);
}

const work = {
  async first() {
    const t = now();
    const id = await boot(tag + '-first');
    await active(id);
    put('nova first server POST to ACTIVE', 'ms', now() - t);
    await clear(tag + '-first');
  },
  async keystone() {
    const tokens = [];
    const issue = async () =>
      tokens.push(
        (await call('POST', AUTH + '/auth/tokens', authBody(), { 'x-auth-token': '' })).headers['x-subject-token'],
      );
    await issue();
    await load('keystone token issue c=1', 1, 200, issue);
    await load('keystone token issue c=8', 8, 800, issue);
    const check = (i) =>
      call('GET', AUTH + '/auth/tokens', undefined, { 'x-subject-token': tokens[(i % 16) % tokens.length] });
    for (let i = 0; i < 16; i++) await check(i);
    await load('keystone token validate c=1', 1, 2000, check);
    await load('keystone token validate c=8', 8, 4000, check);
  },
  async neutron(round) {
    const nets = [];
    const trio = async (i) => {
      const name = `${tag}-n${i}`,
        id = (await post(neutron() + '/networks', { network: { name } })).network.id;
      nets.push(id);
      const sub = (
        await post(neutron() + '/subnets', { subnet: { network_id: id, ip_version: 4, cidr: '10.9.0.0/24', name } })
      ).subnet.id;
      await post(neutron() + '/ports', { port: { network_id: id, name, fixed_ips: [{ subnet_id: sub }] } });
    };
    await load('neutron net+subnet+port c=1', 1, 15, trio);
    await load('neutron net+subnet+port c=8', 8, 48, trio);
    const mine = (await get(neutron() + '/ports')).ports.filter((p) => nets.includes(p.network_id));
    const c0 = cpu(),
      t = now();
    await each(mine, 8, (p) => del(`${neutron()}/ports/${p.id}`));
    await each(nets, 8, (n) => del(`${neutron()}/networks/${n}`));
    put('neutron delete port+net c=8', '/s', nets.length / ((now() - t) / 1000));
    spent('neutron delete port+net c=8', c0, nets.length);
    // PORTS ports on one network; made once, by bulk requests of 50
    const net = await network('bench-ports', '10.65.0.0/16');
    const have = (await get(`${neutron()}/ports?network_id=${net}&fields=id`)).ports.length;
    if (have < PORTS) {
      const c1 = cpu(),
        t1 = now(),
        from = Array.from({ length: Math.ceil((PORTS - have) / 50) }, (_, k) => have + k * 50);
      await each(from, 2, (i) =>
        post(neutron() + '/ports', {
          ports: Array.from({ length: Math.min(50, PORTS - i) }, (_, k) => ({
            network_id: net,
            name: `bench-port-${i + k}`,
          })),
        }),
      );
      put('neutron bulk create ports (50 each) c=2', '/s', (PORTS - have) / ((now() - t1) / 1000));
      spent('neutron bulk create ports (50 each) c=2', c1, PORTS - have);
    }
    let size;
    await load(`neutron list ${PORTS} ports c=1`, 1, 10, async () => {
      const r = await call('GET', `${neutron()}/ports?network_id=${net}`);
      size = r.size;
      if (json(r).ports.length < PORTS) throw new Error('list is short');
    });
    put(`neutron list ${PORTS} ports body`, 'KiB', size / 1024);
    if (round === ROUNDS - 1) {
      const l = (await get(`${neutron()}/ports?network_id=${net}&fields=id`)).ports;
      await each(l, 8, (p) => del(`${neutron()}/ports/${p.id}`));
      await del(`${neutron()}/networks/${net}`);
    }
  },
  async nova() {
    await serverSpec();
    const p = tag + '-s';
    if (!results['nova POST to ACTIVE, one | p50']) {
      await active(await boot(p + 'warm'));
      await clear(p + 'warm');
    }
    await load('nova POST to ACTIVE, one', 1, 5, async (i) => active(await boot(`${p}one${i}`)));
    await clear(p + 'one');
    const c0 = cpu(),
      t = now();
    const posts = [];
    await each(
      Array.from({ length: SERVERS }, (_, i) => i),
      8,
      async (i) => {
        const a = now();
        await boot(`${p}many${i}`);
        posts.push(now() - a);
      },
    );
    put(`nova ${SERVERS} servers c=8: POST p50`, 'ms', med(posts));
    await allActive(p + 'many', SERVERS, 600);
    put(`nova ${SERVERS} servers c=8 to ACTIVE`, 'servers/s', SERVERS / ((now() - t) / 1000));
    spent(`nova ${SERVERS} servers c=8 to ACTIVE`, c0, SERVERS);
    const one = (await servers(p + 'many'))[0].id;
    await load(`nova GET /servers/detail, ${SERVERS} servers c=1`, 1, 20, async () => {
      if ((await get(`${nova()}/servers/detail?limit=1000`)).servers.length < SERVERS) throw new Error('short');
    });
    await load('nova GET one server c=1', 1, 100, () => get(`${nova()}/servers/${one}`));
    await load('nova GET one server c=8', 8, 300, () => get(`${nova()}/servers/${one}`));
    put(`nova delete ${SERVERS} servers c=8 until gone`, 'servers/s', await clear(p + 'many'));
  },
  async nova1000(round) {
    // reached once; listed in every round; deleted after the last
    const p = 'bench-thousand-';
    const had = (await servers(p)).length;
    let n = had;
    if (n < MANY && round === 0) {
      const c0 = cpu(),
        t = now();
      for (; n < MANY && now() - t < MANY_S * 1000; n += Math.min(50, MANY - n)) {
        await boot(p + n, { min_count: Math.min(50, MANY - n), max_count: Math.min(50, MANY - n) });
        await allActive(p, Math.min(n + 50, MANY), 300, 1500);
      }
      put(`nova grow to ${n} servers, 50 a request`, 'servers/s', (n - had) / ((now() - t) / 1000));
      spent(`nova grow to ${n} servers, 50 a request`, c0, n - had);
    }
    let size;
    await load(`nova GET /servers/detail, ${n} servers c=1`, 1, 5, async () => {
      const r = await call('GET', `${nova()}/servers/detail?limit=1000`);
      size = r.size;
      if (json(r).servers.length < n) throw new Error('short');
    });
    put(`nova GET /servers/detail, ${n} servers body`, 'KiB', size / 1024);
    await load(`nova GET /servers/detail?limit=50 of ${n} c=1`, 1, 10, () => get(`${nova()}/servers/detail?limit=50`));
    if (round === ROUNDS - 1 && E.BENCH_KEEP !== '1')
      put(`nova delete ${n} servers c=8 until gone`, 'servers/s', await clear(p));
  },
  async cinder() {
    const ids = [];
    const make = async (i) => {
      const id = (await post(cinder() + '/volumes', { volume: { size: 1, name: `${tag}-v${i}` } })).volume.id;
      ids.push(id);
      await until(async () => {
        const s = (await get(`${cinder()}/volumes/${id}`)).volume.status;
        if (s === 'error') throw new Error('volume error');
        return s === 'available';
      }, 'available');
    };
    await load('cinder create to available, one', 1, 8, make);
    await load('cinder create to available c=8', 8, 40, make);
    await load('cinder list volumes/detail (48) c=1', 1, 20, () => get(cinder() + '/volumes/detail'));
    await each(ids, 8, (id) => del(`${cinder()}/volumes/${id}`));
    await until(
      async () => !(await get(cinder() + '/volumes')).volumes.some((v) => ids.includes(v.id)),
      'volumes gone',
    );
  },
  async glance() {
    const big = Buffer.alloc(64 << 20, 7),
      ids = [];
    const make = async (i) => {
      const id = (
        await post(glance() + '/images', { name: `${tag}-i${i}`, disk_format: 'raw', container_format: 'bare' })
      ).id;
      ids.push(id);
      await call('PUT', `${glance()}/images/${id}/file`, big, { 'content-type': 'application/octet-stream' });
      await until(async () => (await get(`${glance()}/images/${id}`)).status === 'active', 'image active');
    };
    await load('glance create+upload 64 MiB', 1, 3, make);
    await load('glance download 64 MiB', 1, 3, async (i) => {
      if (
        (await call('GET', `${glance()}/images/${ids[i % ids.length]}/file`, undefined, { accept: '*/*' })).size !==
        big.length
      )
        throw new Error('short image');
    });
    await load('glance list images c=1', 1, 50, () => get(glance() + '/images'));
    await each(ids, 3, (id) => del(`${glance()}/images/${id}`));
  },
  async swift() {
    const c = `${swift()}/${tag}`;
    await call('PUT', c);
    for (const [label, size, n] of [
      ['4 KiB', 4096, 2000],
      ['1 MiB', 1 << 20, 200],
    ]) {
      const body = Buffer.alloc(size, 5);
      let made = 0;
      const r = await load(`swift PUT ${label} c=8`, 8, n, async (i) => {
        await call('PUT', `${c}/${size}-${i}`, body, { 'content-type': 'application/octet-stream' });
        made = Math.max(made, i + 1);
      });
      await load(`swift GET ${label} c=8`, 8, n, async (i) => {
        if ((await call('GET', `${c}/${size}-${i % r.n}`, undefined, { accept: '*/*' })).size !== size)
          throw new Error('short object');
      });
      await each(
        Array.from({ length: made }, (_, i) => i),
        8,
        (i) => del(`${c}/${size}-${i}`),
      );
    }
    await until(
      () =>
        call('DELETE', c).then(
          () => true,
          () => false,
        ),
      'container deleted',
      30,
      500,
    );
  },
};

const todo = process.argv.slice(2).length
  ? process.argv.slice(2)
  : ['keystone', 'neutron', 'nova', 'cinder', 'glance', 'swift'];
for (const k of todo)
  if (!work[k]) {
    console.error('no such work: ' + k);
    process.exit(2);
  }
const failed = {},
  started = new Date().toISOString(),
  t0 = now(),
  loads = [];
const fmt = (v) => (v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2));
const report = () => ({
  started,
  seconds: Math.round((now() - t0) / 1000),
  auth_url: AUTH,
  cpus: os.cpus().length,
  node: process.version,
  rounds: ROUNDS,
  requests,
  errors,
  resets,
  load_average: loads.map((x) => +x.toFixed(2)),
  cpu_share_of_others: others.length
    ? { median: +med(others).toFixed(2), max: +Math.max(...others).toFixed(2) }
    : undefined,
  failed,
  metrics: Object.fromEntries(
    Object.entries(results).map(([k, v]) => [
      k,
      {
        unit: v.unit,
        median: +fmt(med(v.rounds)),
        min: +fmt(Math.min(...v.rounds)),
        max: +fmt(Math.max(...v.rounds)),
        rounds: v.rounds.length,
      },
    ]),
  ),
});
const save = () => E.BENCH_OUT && fs.writeFileSync(E.BENCH_OUT, JSON.stringify(report(), null, 1) + '\n');
await login();
for (const k of todo)
  for (let r = 0; r < (k === 'first' ? 1 : ROUNDS); r++) {
    try {
      await login();
      const t = now();
      await work[k](r);
      loads.push(os.loadavg()[0]);
      note(`${k} round ${r + 1}: ${((now() - t) / 1000).toFixed(1)} s`);
      save();
    } catch (e) {
      (failed[k] ??= []).push(e.message);
      note(`${k} round ${r + 1} FAILED: ${e.message}`);
      await sleep(1000);
    }
  }
const out = report();
if (E.BENCH_OUT) save();
else console.log(JSON.stringify(out));
console.log('| measure | median | min | max | unit |\n|---|---:|---:|---:|---|');
for (const [k, v] of Object.entries(out.metrics))
  console.log(`| ${k.replace(' | ', ', ')} | ${v.median} | ${v.min} | ${v.max} | ${v.unit} |`);
console.log(
  `\n${requests} requests, ${errors} errors, ${resets} retried on a closed kept connection; load average ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)} on ${out.cpus} cores` +
    (others.length
      ? `; others took ${Math.round(med(others) * 100)}% of the CPU (median over the loops, at most ${Math.round(Math.max(...others) * 100)}%)`
      : ''),
);
for (const a of Object.values(agents)) a.destroy();
process.exit(Object.keys(failed).length ? 1 : 0);
