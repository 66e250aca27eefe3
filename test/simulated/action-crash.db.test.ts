/**
 * Everything that can be done to a server, in a whole cloud by the API, with a death after each of its own steps: of its host's work,
 * of the controller's, and after each statement that control sends. First it runs undisturbed; its steps are noted, and so is the end:
 * the server's row, operations, ports, images, its guest, what lies on its host. After each death the end is the same, with each
 * thing decided once. A new action without its line in server-acts.ts fails here.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { actions } from '../../api/openstack/compute/actions/table.ts';
import type { ServerId } from '../../contract/ids.ts';
import { type ControllerStep, serverActions } from '../../control/compute/server/index.ts';
import type { ServerRecord } from '../../host/server/record.ts';
import { fuzzing, partOf } from '../support/part-of.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { makeTenancy, reaches, serverBody, statusOf } from '../support/tenancy.ts';
import { type Act, type Asking, acts, otherActs, reading, refusals, refused, type World } from './server-acts.ts';

let cloud: SimulatedCloud;
let world: World;
/** Told of each step of the controller. */
let controllerSteps: ControllerStep[] = [];
let dieAfterControllerSteps: number | undefined;
before(async () => {
  const settings = { reclaimSeconds: 3600, shelvedOffloadSeconds: -1 };
  cloud = await SimulatedCloud.start({ settings });
  await replaceControl();
  const tenancy = await makeTenancy(cloud);
  const { client, imageId, subnetId } = tenancy;
  const agent = [{ op: 'add', path: '/hw_qemu_guest_agent', value: 'yes' }];
  const patch = { 'content-type': 'application/openstack-images-v2.1-json-patch' };
  assert.equal((await client.call('PATCH', 'image', `/v2/images/${imageId}`, agent, patch)).status, 200);
  const flavor = { name: 'larger', vcpus: 2, ram: 1024, disk: 2 };
  const larger = (await client.must('POST', 'compute', '/flavors', { flavor })).flavor.id;
  const extraGroup = 'more';
  await client.must('POST', 'network', '/v2.0/security-groups', { security_group: { name: extraGroup } });
  const { networks } = await client.must('GET', 'network', '/v2.0/networks?router:external=true');
  const gateway = { external_gateway_info: { network_id: networks[0].id } };
  const { router } = await client.must('POST', 'network', '/v2.0/routers', { router: gateway });
  await client.must('PUT', 'network', `/v2.0/routers/${router.id}/add_router_interface`, { subnet_id: subnetId });
  const wish = { floatingip: { floating_network_id: networks[0].id } };
  const { floatingip } = await client.must('POST', 'network', '/v2.0/floatingips', wish);
  world = { ...tenancy, larger, extraGroup, floatingIp: floatingip.floating_ip_address };
});
after(() => cloud[Symbol.asyncDispose]());

/** Every control of this cloud tells its steps, and may die after one. */
async function replaceControl(): Promise<void> {
  for (const each of cloud.controls) each.kill();
  // What a dead one had begun is begun again a minute later; here the minute is over.
  await sql`update graphile_worker._private_jobs set locked_at = locked_at - interval '1 hour' where locked_at is not null`.execute(
    cloud.database.query,
  );
  const control = await cloud.startControl({
    hooks: {
      afterServerStep(step) {
        if (!control.alive) return;
        controllerSteps.push(step);
        if (controllerSteps.length !== dieAfterControllerSteps) return;
        control.kill();
        throw new Error(`died after '${step}'`);
      },
    },
  });
}

/** After how many of its steps who dies. */
type Death = { who: 'host' | 'controller' | 'control, of its statements'; after: number };

const all = Object.entries({ ...acts, ...otherActs }).flatMap(([name, some]) =>
  [some].flat().map((act: Act, index) => ({ name: index === 0 ? name : `${name}, ${index + 1}`, act })),
);

describe('the list is whole', () => {
  test('each action of control is in it', () => {
    assert.deepEqual([...Object.keys(acts), ...Object.keys(refused)].sort(), Object.keys(serverActions).sort());
  });

  test('each of Nova’s actions on the wire is tried, refused, or changes nothing', async () => {
    const id = '' as ServerId;
    const stub = {
      client: {
        must: async () => ({ interfaceAttachments: [{ fixed_ips: [{}] }], volume: { status: 'available' } }),
      },
    } as unknown as World;
    const asked = await Promise.all(all.map(({ act }) => act.ask?.(stub, id)));
    const named = [...asked.map((asking) => asking?.body), ...Object.values(refusals)].flatMap((body) =>
      Object.keys(body ?? {}),
    );
    const missing = Object.keys(actions).filter(
      (name) => !named.includes(name) && !reading.some((each) => each === name),
    );
    assert.deepEqual(missing, []);
  });
});

for (const [name, status] of Object.entries(refused)) {
  test(`${name} is refused and leaves nothing behind`, async () => {
    const id = await created(`refused ${name}`);
    const before = await endOf(id);
    const answer = await ask(id, { body: refusals[name as keyof typeof refusals] });
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.deepEqual(await endOf(id), before);
    await forget(id);
  });
}

for (const { name, act } of partOf(all, 3)) {
  test(`${name}: the end is the same wherever host or control dies`, async (t) => {
    const plain = await run(act);
    const deaths: Death[] = [];
    for (let n = 1; n <= plain.hostSteps.length; n++) deaths.push({ who: 'host', after: n });
    for (let n = 1; n <= plain.controllerSteps.length; n++) deaths.push({ who: 'controller', after: n });
    for (let n = 1; n <= plain.statements; n += 3) deaths.push({ who: 'control, of its statements', after: n });
    t.diagnostic(`${JSON.stringify(plain.hostSteps)} ${plain.controllerSteps} ${plain.statements} statements`);
    // All of them take ten minutes.
    for (const death of partOf(deaths, 2, fuzzing)) await run(act, { death, end: plain.end });
  });
}

const host = () => cloud.hosts[0]!;

async function created(name: string, more?: object): Promise<ServerId> {
  const body = await world.client.must('POST', 'compute', '/servers', serverBody(world, name, { ...more }));
  await reaches(cloud, world, body.server.id, 'ACTIVE');
  return body.server.id;
}

function ask(id: ServerId, { method, path, body, version }: Asking) {
  const headers: Record<string, string> =
    version === undefined ? {} : { 'openstack-api-version': `compute 2.${version}` };
  return world.client.call(method ?? 'POST', 'compute', `/servers/${id}${path ?? '/action'}`, body, headers);
}

async function must(id: ServerId, asking: Asking): Promise<void> {
  const { status, body } = await ask(id, asking);
  assert.ok(status < 300, `${JSON.stringify(asking)}: ${status} ${JSON.stringify(body)}`);
}

async function forget(id: ServerId): Promise<void> {
  if ((await statusOf(world, id)) === 'gone') return;
  await must(id, { body: { forceDelete: null } });
  await reaches(cloud, world, id, 'gone');
}

let runs = 0;

/** One act on a server of its own; answers its steps and its end. */
async function run(act: Act, crash?: { death: Death; end: unknown }) {
  const name = `run ${++runs}`;
  const made = act.made?.(world);
  const subject = act.ask ? await created(name, made) : undefined;
  if (subject) {
    host().machine.qemus.behave(subject, { agent: { passwords: new Map(), refuses: null } });
    for (const each of act.before ?? []) await undisturbed(subject, each);
  }
  const since = await operations(subject);
  const memory = subject && memoryOf(subject);
  const ended = async (id: ServerId) =>
    (await statusOf(world, id)) === act.status && (await isQuiet(id)) && (await operations(id)) > since;
  const asking = subject && act.ask ? await act.ask(world, subject) : undefined;
  const { control } = cloud;
  const watch = arm(crash?.death);
  const request = asking && subject ? ask(subject, asking) : begin(name, made);
  const answer = await request.catch(() => undefined);
  if (!crash) assert.ok(answer && answer.status < 300, JSON.stringify(answer?.body));
  const isOver = async () => {
    const id = subject ?? (await idOf(name));
    return id !== undefined && (act.unrecorded ? answer !== undefined : await ended(id));
  };
  await cloud.until('a death or the end', async () => !host().running || !control.alive || (await isOver()));
  const { hostSteps, statements } = watch();
  const noted = controllerSteps;
  await reviveAll(crash?.death);
  const id = subject ?? (await idOf(name)) ?? (await begin(name, made)).body.server.id;
  // As a careful client: what nobody knows of is asked for again.
  if (crash && asking && (await operations(id)) === since) {
    const again = await ask(id, asking);
    assert.ok(again.status < 300 || act.unrecorded, `asked again: ${again.status} ${JSON.stringify(again.body)}`);
  }
  if (!act.unrecorded) await cloud.until(`${name} to end`, () => ended(id));
  const seen = async () => ({ ...(await endOf(id)), goesOn: memory !== undefined && memoryOf(id) === memory });
  let end = await seen();
  if (crash) {
    const same = async () => {
      end = await seen();
      return JSON.stringify(end) === JSON.stringify(crash.end);
    };
    await cloud.until('the same end', same, 30_000).catch(() => {});
    const { death } = crash;
    assert.deepEqual(end, crash.end, `${death.who} died after ${death.after}: ${[hostSteps, noted]}`);
  }
  await forget(id);
  return { end, hostSteps, controllerSteps: noted, statements };
}

/** Sets the death up; answers what tells how far it came. */
function arm(death: Death | undefined): () => { hostSteps: string[]; statements: number } {
  const { control } = cloud;
  let statements = 0;
  host().steps.length = 0;
  controllerSteps = [];
  host().dieAfterSteps = death?.who === 'host' ? death.after : undefined;
  dieAfterControllerSteps = death?.who === 'controller' ? death.after : undefined;
  control.databaseWire.onSent = () => {
    statements++;
    if (death?.who === 'control, of its statements' && statements === death.after) control.kill();
  };
  return () => {
    control.databaseWire.onSent = undefined;
    return { hostSteps: [...host().steps], statements };
  };
}

/** Who was to die and had nothing to do any more is replaced all the same. */
async function reviveAll(death: Death | undefined): Promise<void> {
  host().dieAfterSteps = undefined;
  dieAfterControllerSteps = undefined;
  controllerSteps = [];
  if (!host().running) await host().start();
  if (death && death.who !== 'host') await replaceControl();
}

const begin = (name: string, more?: object) =>
  world.client.call('POST', 'compute', '/servers', serverBody(world, name, { ...more }));

const rowsOf = async <T>(query: ReturnType<typeof sql<T>>) => (await query.execute(cloud.database.query)).rows;

const idOf = async (name: string) =>
  (await rowsOf(sql<{ id: ServerId }>`select id from server where name = ${name}`))[0]?.id;

const operations = (id: ServerId | undefined) =>
  cloud.count(sql`select count(*) as n from operation where resource_id = ${id ?? null}::uuid`);

/** Nobody works for it any more: no operation, nor its host, which says so for as long. */
const isQuiet = async (id: ServerId) =>
  (await cloud.count(
    sql`select (select count(*) from operation where state = 'running' and resource_id = ${id}::uuid)
      + (select count(*) from server where observed_state = 'building' and id = ${id}::uuid) as n`,
  )) === 0;

async function undisturbed(id: ServerId, act: Act): Promise<void> {
  const since = await operations(id);
  await must(id, await act.ask!(world, id));
  if (act.unrecorded) return;
  await cloud.until(`${act.status}`, async () => {
    return (await statusOf(world, id)) === act.status && (await isQuiet(id)) && (await operations(id)) > since;
  });
}

const memoryOf = (id: ServerId) => host().machine.qemus.guest(id)?.guest.memory;

/** All that is left of what was done, without what differs from server to server. */
async function endOf(id: ServerId) {
  const [row] =
    await rowsOf(sql`select generation, observed_generation, epoch, host_id is not null as placed, locked, vcpus, disk_gib,
      desired_presence, desired_power, desired_reboot_count, desired_rescue is not null as rescued, desired_root_count,
      desired_resize ->> 'state' as resize, desired_shelve ->> 'state' as shelve, desired_capture is not null as capturing,
      soft_deleted_at is not null as soft_deleted, observed_state, observed_power, observed_reboot_count, observed_rescue_count,
      observed_root_count, observed_resize_count, observed_error, fault ->> 'code' as fault
    from server where id = ${id}`);
  return {
    row,
    operations: await rowsOf(sql`select verb, state from operation where resource_id = ${id} order by created_at, id`),
    ports: await rowsOf(sql`select p.device_owner, p.host_id is not null as bound, sp.position,
        (select count(*)::integer from port_ip i where i.port_id = p.id) as addresses,
        (select count(*)::integer from port_security_group g where g.port_id = p.id) as groups,
        (select count(*)::integer from floating_ip f where f.port_id = p.id) as floating
      from port p left join server_port sp on sp.port_id = p.id where p.device_id = ${id} order by sp.position`),
    images: await rowsOf(sql`select status, owner_properties ->> 'image_type' as type from image
      where owner_properties ->> 'instance_uuid' = ${id} and desired_presence = 'present' order by id`),
    volumes:
      await rowsOf(sql`select slot, device, desired_presence, observed_state, attached_at is not null as attached,
        delete_on_termination from volume_attachment where server_id = ${id} order by slot`),
    migrations: await rowsOf(sql`select ended from server_migration where server_id = ${id} order by number`),
    onHost: onHost(id),
  };
}

function onHost(id: ServerId) {
  const { dataDirectory, qemus } = host().machine;
  const directory = join(dataDirectory, 'servers', id);
  const list = () => {
    try {
      return readdirSync(directory).sort();
    } catch {
      return [];
    }
  };
  const files = list();
  const record = (): ServerRecord => JSON.parse(readFileSync(join(directory, 'record.json'), 'utf8'));
  const guests = qemus.guests.filter(({ machine }) => machine.uuid === id);
  const count = (word: string) =>
    host()
      .leftovers()
      .filter((entry) => entry.startsWith(word)).length;
  return {
    files,
    record: files.includes('record.json') && remembered(record()),
    guests: guests.map(({ state, machine: { disks, cards } }) => ({
      state,
      // A volume's disk is called by its id.
      disks: disks.map((disk) => disk.id?.replace(/^vol-.*/, 'volume')),
      cards: cards.length,
    })),
    ...{ ports: count('switch port'), taps: count('tap') },
  };
}

const remembered = ({
  epoch,
  disk,
  rescue,
  memory,
  resize,
  captures,
  rebootCount,
  ports,
  cards,
  halted,
}: ServerRecord) => ({
  ...{ epoch, rebootCount, halted, sizeBytes: disk?.sizeBytes, count: disk?.count },
  ...{ rescued: rescue?.count ?? null, suspended: memory != null, resized: resize?.count ?? null },
  ...{ captures: captures?.map(({ error }) => error) ?? [], ports: ports.length, cards: cards?.length },
});
