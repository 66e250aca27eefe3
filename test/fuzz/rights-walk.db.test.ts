/**
 * Every route that control has registered (as it tells itself, not by a list), asked by everyone who should not get much:
 * nobody, a token without a scope, a reader, a member of another project. None gets more than it should, and nothing fails.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Answer, OpenStack } from '../support/openstack.ts';
import { partOf } from '../support/part-of.ts';
import { Random } from '../support/random.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { effort } from './effort.ts';
import { aimed, type Route, reachesOf, routeList } from './routes.ts';
import { give, makePerson, makeVictim, type Person, type Victim } from './victim.ts';

const { seed, full } = effort();

const { routes, listen } = routeList();
let cloud: SimulatedCloud;
let admin: OpenStack;
let victim: Victim;
let stranger: Person;
let port: number;

before(async () => {
  cloud = await SimulatedCloud.start();
  ({ port } = await cloud.startControl({ beside: true, hooks: { onRoute: listen } }));
  admin = await cloud.client();
  const { flavors } = await admin.must('GET', 'compute', '/flavors');
  victim = await makeVictim(cloud, admin, flavors.find(({ name }: { name: string }) => name === 'm1.tiny').id);
  stranger = await makePerson(cloud, admin, 'stranger');
  const { project } = await admin.must('POST', 'identity', '/v3/projects', { project: { name: 'another' } });
  await give(admin, project.id, stranger, 'member');
  await stranger.client.login({ name: stranger.name, password: stranger.password, project: 'another' });
});
after(() => cloud[Symbol.asyncDispose]());

/** What someone would send who wants it: the victim's things named in everything that names others. */
function bodies({ url, method }: Route): unknown[] {
  if (method === 'GET' || method === 'DELETE') return [undefined];
  const { ids, projectId } = victim;
  const taken = { name: 'stolen', description: 'stolen', project_id: projectId, tenant_id: projectId };
  const network = { network_id: ids.networks, fixed_ips: [{ subnet_id: ids.subnets }] };
  const things: Record<string, object> = {
    network: taken,
    subnet: { name: 'stolen', network_id: ids.networks, ip_version: 4, cidr: '10.10.0.0/24' },
    port: { ...network, name: 'stolen', security_groups: [ids['security-groups']] },
    router: { name: 'stolen', external_gateway_info: null },
    floatingip: { port_id: ids.ports },
    security_group: taken,
    security_group_rule: { security_group_id: ids['security-groups'], direction: 'egress', ethertype: 'IPv6' },
    trunk: { name: 'stolen', port_id: ids.ports, sub_ports: [] },
    address_group: { ...taken, addresses: ['10.0.0.0/8'] },
    subnetpool: { name: 'stolen', prefixes: ['10.88.0.0/16'], address_scope_id: ids['address-scopes'] },
    policy: taken,
    volume: { name: 'stolen', size: 1, source_volid: ids.volumes },
    snapshot: { name: 'stolen', volume_id: ids.volumes, force: true },
    backup: { name: 'stolen', volume_id: ids.volumes, snapshot_id: ids.snapshots },
    transfer: { name: 'stolen', volume_id: ids.volumes },
    attachment: { volume_uuid: ids.volumes, instance_uuid: ids.servers },
    server: { name: 'stolen', imageRef: ids.images, flavorRef: ids.flavors, networks: [{ port: ids.ports }] },
    user: { name: 'stolen', password: 'stolen', enabled: true },
    project: { name: 'stolen', enabled: false },
    quota: { network: 1 },
    quota_set: { instances: 1000 },
    keypair: { name: 'stolen', user_id: ids.users },
    application_credential: { name: 'stolen' },
    interfaceAttachment: { port_id: ids.ports },
    metadata: { stolen: 'yes' },
    tags: ['stolen'],
  };
  const found = Object.entries(things).filter(
    ([name]) => url.includes(name.replaceAll('_', '-')) || url.includes(name),
  );
  const own = found.map(([name, thing]) => ({ [name]: thing }));
  const actions = ['os-stop', 'reboot', 'os-start', 'lock', 'forceDelete', 'createImage', 'rebuild', 'os-resetState'];
  if (url.endsWith('/volumes/:id/action')) {
    return [
      { 'os-extend': { new_size: 2 } },
      { 'os-set_bootable': { bootable: true } },
      { 'os-update_readonly_flag': { readonly: true } },
      { 'os-set_image_metadata': { metadata: { stolen: 'yes' } } },
      { revert: { snapshot_id: ids.snapshots } },
      { 'os-reset_status': { status: 'error' } },
      { 'os-initialize_connection': { connector: { initiator: 'iqn.2004-10.com.example:stolen' } } },
    ];
  }
  if (url.endsWith('/action'))
    return actions.map((action) => ({ [action]: action === 'reboot' ? { type: 'HARD' } : {} }));
  const verbs = [
    { subnet_id: ids.subnets },
    { port_id: ids.ports },
    { accept: { auth_key: 'guessed' } },
    { sub_ports: [{ port_id: ids.ports, segmentation_type: 'vlan', segmentation_id: 7 }] },
    { member: stranger.client.projectId, status: 'accepted' },
  ];
  return [{}, ...own, ...(own.length === 0 || /interface|members/.test(url) ? verbs : [])];
}

interface Walker {
  name: string;
  token: string;
  /** May this answer be? */
  check(route: Route, answer: Answer, what: string): void;
}

async function walk({ name, token, check }: Walker, random: Random, over = routes): Promise<void> {
  for (const route of over) {
    const queries = route.method === 'GET' ? reachesOf(victim) : [''];
    const all = queries.flatMap((query) => bodies(route).map((body) => ({ query, body })));
    // Of each route at least the plain request, and some of the others.
    const chosen = full ? all : all.filter((_, index) => index === 0 || random.chance(0.1));
    const answers = await Promise.all(
      chosen.map(async ({ query, body }) => {
        const url = `https://127.0.0.1:${port}${aimed(route, victim)}${query}`;
        const patch = route.method === 'PATCH' && route.url.startsWith('/image');
        const type: Record<string, string> = patch
          ? { 'content-type': 'application/openstack-images-v2.1-json-patch' }
          : route.url.startsWith('/volume')
            ? { 'openstack-api-version': 'volume 3.70' }
            : {};
        const sent = patch ? [{ op: 'replace', path: '/name', value: 'stolen' }] : body;
        const answer = await admin.raw(route.method, url, sent, { 'x-auth-token': token, ...type });
        return { answer, what: `${name}: ${route.method} ${url} ${JSON.stringify(sent)} (seed ${seed})` };
      }),
    );
    for (const { answer, what } of answers) {
      const said = `${what}: ${answer.status} ${JSON.stringify(answer.body)?.slice(0, 500)}`;
      assert.ok(answer.status < 500 || answer.status === 501, said);
      check(route, answer, said);
    }
  }
}

const holdsMark = ({ body, headers }: Answer): boolean => {
  const text = JSON.stringify([body, headers]);
  // What was asked for may be named in the refusal; what else is marked may not.
  return text.replaceAll(encodeURIComponent(victim.mark), victim.mark).includes(victim.mark);
};

/** A refusal may repeat the names that it was given (key pairs go by name); nothing else of another project's is told. */
const toldNothing = (answer: Answer, said: string) => {
  const given = answer.status >= 400 && said.split(' ')[2]!.includes(encodeURIComponent(victim.mark));
  assert.ok(given || !holdsMark(answer), `${said} shows another project's data`);
};

test('every route is walked, and its owner does see what is marked: the walk looks where there is something to see', async () => {
  for (const prefix of ['identity', 'compute', 'network', 'image', 'volume', 'native']) {
    assert.ok(routes.filter(({ url }) => url.startsWith(`/${prefix}/`)).length > 1, prefix);
  }
  assert.ok(routes.length > 200, String(routes.length));
  const seen = new Set<string>();
  const look = ({ method, url }: Route, answer: Answer) => {
    if (method === 'GET' && answer.status === 200 && holdsMark(answer)) seen.add(url);
  };
  const gets = routes.filter(({ method }) => method === 'GET');
  await walk({ name: 'owner', token: victim.owner.client.token, check: look }, new Random(seed), gets);
  assert.ok(seen.size > 25, [...seen].join('\n'));
  for (const url of ['/volume/v3/volumes/detail', '/volume/v3/snapshots/:id', '/network/v2.0/trunks/:id']) {
    assert.ok(seen.has(url), url);
  }
});

test('who brings no token, a wrong one or a revoked one gets 401 everywhere but where it says that it is open', async () => {
  const random = new Random(seed);
  for (const token of ['', 'no token', 'x.y.z']) {
    const before = await victim.look();
    await walk(
      {
        name: 'nobody',
        token,
        check(route, answer, said) {
          toldNothing(answer, said);
          if (!route.open) assert.equal(answer.status, 401, said);
        },
      },
      random,
      token === '' ? routes : partOf(routes, 80),
    );
    assert.equal(await victim.look(), before);
  }
});

test("a token without a scope shows no project's data and changes none", async () => {
  const before = await victim.look();
  const login = await admin.raw('POST', `https://127.0.0.1:${port}/identity/v3/auth/tokens`, {
    auth: {
      identity: { methods: ['password'], password: { user: { id: stranger.id, password: stranger.password } } },
      scope: 'unscoped',
    },
  });
  const token = String(login.headers['x-subject-token']);
  await walk({ name: 'unscoped', token, check: (_route, answer, said) => toldNothing(answer, said) }, new Random(seed));
  assert.equal(await victim.look(), before);
});

test('a member of another project reads nothing of this one, and nothing that they send changes it', async () => {
  const before = await victim.look();
  const { token } = stranger.client;
  await walk({ name: 'stranger', token, check: (_route, answer, said) => toldNothing(answer, said) }, new Random(seed));
  assert.equal(await victim.look(), before);
});

test('a reader of the project changes nothing in it', async () => {
  const before = await victim.look();
  const { token } = victim.reader.client;
  await walk({ name: 'reader', token, check() {} }, new Random(seed));
  assert.equal(await victim.look(), before);
});
