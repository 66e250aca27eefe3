/** A stamp stands for a document: it changes with whatever the document says, and with nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RawBuilder, sql } from 'kysely';
import { desiredPort, desiredServer } from '../../../contract/host/index.ts';
import { newId } from '../../../contract/ids.ts';
import { testDatabase, testProject } from '../../kit/database/testing.ts';
import { networksOfHosts } from '../../network/port/server-views.ts';
import { testAttachment, testVolume } from '../../storage/attachment/testing.ts';
import { serverCloud } from './testing.ts';

test('whatever changes a server’s document changes its stamp, field by field, and a report or a host that goes does not', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  const [host, elsewhere] = [await cloud.addHost({ name: 'a' }), await cloud.addHost({ name: 'b', connected: false })];
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor: await cloud.addFlavor() }));
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  await sql`update server set host_id = ${host} where id = ${id}`.execute(db.database.query);
  const look = async () => {
    const [document] = await cloud.side.desiredServers(db.database.query, { serverIds: [id] });
    const [entry] = (await cloud.side.serverStamps(db.database.query, [host])).get(host)!;
    const { stamp, ...rest } = document!;
    assert.deepEqual(entry, {
      ...{ id, epoch: rest.epoch, generation: rest.generation, stamp: stamp! },
      ports: rest.ports.map((port) => port.id),
      networks: rest.ports.map((port) => port.networkId),
    });
    return { stamp: stamp!, rest };
  };
  const migrationTo = (to: string) => sql`with made as (
      insert into server_migration (id, project_id, user_id, server_id, server_generation, host_id, kind, target_host_id, target_epoch, other_host_id,
        other_epoch, phase, old_flavor_id, new_flavor_id)
      select ${newId()}, project_id, user_id, id, generation, host_id, 'live-migration', ${to}, 9, ${to}, 9, 'preparing', flavor_id, flavor_id
      from server where id = ${id} returning id, server_id)
    update server s set desired_move = '{"state": "moving"}', desired_reboot_count = 2 from made where made.server_id = s.id`;
  const set = (what: RawBuilder<unknown>) => sql`update server set ${what} where id = ${id}`;
  const rescue = JSON.stringify({
    count: 1,
    image_id: cloud.imageId,
    image: { format: 'raw', size_bytes: 1, sha256: 'aa' },
  });
  const volume = await testVolume(db.database, { projectId: cloud.projectId, hostId: host });
  const other = await testVolume(db.database, { projectId: cloud.projectId, hostId: host });
  await testAttachment(db.database, { serverId: id, volumeId: volume.id });
  const changes = [
    sql`update volume_attachment set tag = '小屋'`,
    sql`update volume_attachment set slot = 3`,
    sql`update volume_attachment set device = '/dev/vdx'`,
    sql`update volume_attachment set boot_index = 0`,
    sql`update volume_attachment set mode = 'ro'`,
    sql`update volume_layer set size_bytes = size_bytes + 1`,
    sql`with q as (insert into qos_specs (id, name, consumer, specs) values (${newId()}, 'q', 'front-end', '{"total_iops_sec": "100"}')
      returning id) update volume_type set qos_specs_id = (select id from q)`,
    sql`update volume set layer_id = ${other.layerId} where id = ${volume.id}`,
    sql`update volume_attachment set desired_presence = 'absent'`,
    set(sql`project_id = ${await testProject(db.database)}`),
    set(sql`user_id = ${newId()}`),
    set(sql`epoch = epoch + 1`),
    set(sql`generation = generation + 1`),
    set(sql`desired_power = 'off'`),
    set(sql`desired_reboot_count = 1`),
    set(sql`desired_rescue = ${rescue}::jsonb`),
    set(sql`desired_root_count = 2`),
    set(sql`desired_resize = '{"count": 2, "state": "kept"}'`),
    set(sql`desired_capture = jsonb_build_object('image_id', ${cloud.imageId}::text, 'kind', 'image')`),
    set(sql`name = '小屋'`),
    set(sql`hostname = 'other'`),
    set(sql`vcpus = 3`),
    set(sql`memory_mib = 4`),
    set(sql`disk_gib = 5`),
    set(sql`root_tag = 'system'`),
    set(sql`local_disks = '[{"name": "swap", "size_mib": 64, "format": "swap", "given": false}]'`),
    set(sql`image = jsonb_set(image, '{sha256}', '"bb"')`),
    set(sql`image = jsonb_set(image, '{sha256}', 'null')`),
    set(sql`desired_root = jsonb_build_object('image_id', ${newId()}::text, 'image', image || '{"sha256": "cc"}')`),
    set(sql`desired_root = null`),
    sql`insert into image_location (image_id, host_id) values (${cloud.imageId}, ${elsewhere})`,
    sql`update host set facts = facts || '{"url": "https://moved:1"}' where id = ${elsewhere}`,
    set(sql`config_drive = not config_drive`),
    sql`update host set availability_zone = 'east' where id = ${host}`,
    set(sql`keys = '[{"name": "k", "type": "ssh", "public_key": "ssh-ed25519 x"}]'`),
    sql`insert into server_user_data (server_id, user_data) values (${id}, 'IyE=')`,
    sql`insert into server_personality (server_id, files) values (${id}, '[{"path": "/a", "contents": "IyE="}]')`,
    set(sql`reservation_id = 'r-other'`),
    set(sql`flavor = flavor || '{"name": "other"}'`),
    sql`insert into server_admin_password (server_id, password) values (${id}, 'x')`,
    set(sql`metadata = '{"a": "b"}'`),
    set(sql`guest_password = 'sealed'`),
    set(sql`guest_password = null, guest_password_cleared = 1`),
    set(sql`launch_index = 2`),
    set(sql`evacuation_policy = '{"on_lease_end": "pause"}'`),
    set(sql`evacuation_policy = '{"on_lease_end": "keep", "restart": "elsewhere"}'`),
    set(sql`boot_roles = '{member,小屋}'`),
    set(sql`hardware = '{"guest_agent": true}'`),
    set(sql`machine = '{"type": "pc-q35-7.1", "cpu_model": "host", "layout": 1}'`),
    set(sql`created_at = created_at - interval '1 day'`),
    migrationTo(elsewhere),
    sql`update server_migration set forced = true`,
    sql`update server_migration set kind = 'migration', target = '{"address": "::1", "disksPort": 1, "disks": [], "memoryPort": null}'`,
    sql`update server_migration set phase = 'ended', other_host_id = null`,
    sql`update server_port set position = 3`,
    sql`update server_port set tag = '小屋'`,
    sql`update port set mac = '02:00:00:00:00:77'`,
    sql`update network set mtu = 1300`,
    sql`update port_ip set ip = '10.0.0.77'`,
    sql`update subnet set dns_nameservers = '{9.9.9.9}'`,
    sql`update subnet set host_routes = '[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}]'`,
    sql`delete from port_ip`,
    sql`delete from port`,
    set(sql`desired_shelve = '{"state": "offloading"}'`),
    set(sql`desired_shelve = null, desired_presence = 'absent'`),
  ];
  const seen = new Set<string>();
  let before = await look();
  for (const [index, change] of changes.entries()) {
    await change.execute(db.database.query);
    const after = await look();
    assert.notDeepEqual(after.rest, before.rest, `change ${index} is in the document`);
    assert.notEqual(after.stamp, before.stamp, `change ${index} is in the stamp`);
    for (const key of changed(before.rest, after.rest)) seen.add(key);
    for (const key of changed(before.rest.ports[0] ?? {}, after.rest.ports[0] ?? {})) seen.add(`ports.${key}`);
    before = after;
  }
  // The last is in the other host's document, see below.
  const fixed = ['id', 'stamp', 'ports.id', 'ports.networkId', 'incoming'];
  const fields = [
    ...Object.keys(desiredServer.properties),
    ...Object.keys(desiredPort.properties).map((key) => `ports.${key}`),
  ];
  assert.deepEqual(
    fields.filter((field) => !seen.has(field) && !fixed.includes(field)),
    [],
    'each field was tried',
  );
  for (const change of [
    set(sql`observed_state = 'running', observed_generation = 9, updated_at = now()`),
    sql`update volume_attachment set observed_state = 'attached', attached_at = now()`,
    sql`update host set connected = true, last_seen_at = now() where id = ${elsewhere}`,
  ]) {
    await change.execute(db.database.query);
    assert.equal((await look()).stamp, before.stamp);
  }
});

test('a host to which a server is on its way has a document of it, and its networks, and the source keeps one of what it was', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  const source = await cloud.addHost();
  const { ids } = await cloud.service.create(
    cloud.member,
    cloud.wish({ flavor: await cloud.addFlavor(), automatic: 'auto' }),
  );
  await cloud.controller.reconcile(ids[0]!);
  const target = await cloud.addHost();
  const run = (what: RawBuilder<unknown>) => what.execute(db.database.query);
  await run(sql`insert into port (id, project_id, network_id, mac, device_owner, device_id)
    select ${newId()}, project_id, network_id, '02:00:00:00:00:99', 'network:distributed', 'ovnmeta-' || network_id from port`);
  const told = async (hostId: typeof source) => {
    const [document] = await cloud.side.desiredServers(db.database.query, { hostId });
    const [entry] = (await cloud.side.serverStamps(db.database.query, [hostId])).get(hostId)!;
    assert.equal(entry?.stamp, document?.stamp);
    return document;
  };
  const networks = async () => (await networksOfHosts(db.database.query, [target])).get(target)?.length ?? 0;
  assert.deepEqual([await told(target), await networks()], [undefined, 0]);
  const size = { vcpus: 7, memory_mib: 77, disk_gib: 9, flavor: { name: 'large' }, hardware: {}, local_disks: [] };
  await run(sql`insert into server_migration (id, project_id, user_id, server_id, server_generation, host_id, kind, target_host_id, target_epoch, other_host_id,
      other_epoch, other_size, phase, old_flavor_id, new_flavor_id)
    select ${newId()}, project_id, user_id, id, generation, host_id, 'resize', ${target}, 2, ${target}, 2, ${JSON.stringify(size)}::jsonb, 'preparing', flavor_id, flavor_id from server`);
  await run(sql`update server set desired_move = '{"state": "moving"}'`);
  const coming = await told(target);
  assert.deepEqual(
    [coming?.epoch, coming?.vcpus, coming?.memoryMiB, coming?.diskGiB, coming?.flavorName, coming?.incoming?.mode],
    [2, 7, 77, 9, 'large', 'cold'],
  );
  assert.equal(await networks(), 1);
  assert.deepEqual([(await told(source))?.vcpus, (await told(source))?.outgoing?.target], [1, null]);
  assert.equal((await told(source))?.power, 'on');
  const stamps = (...hosts: (typeof source)[]) => cloud.side.serverStamps(db.database.query, hosts);
  const [together, alone] = [await stamps(source, target), [await stamps(source), await stamps(target)]];
  assert.deepEqual(
    [...together],
    alone.flatMap((each) => [...each]),
  );
  assert.deepEqual(
    [...together.values()].map((each) => each.length),
    [1, 1],
  );
  await run(
    sql`update server_migration set phase = 'copying', target = '{"address": "::1", "disksPort": 1, "disks": ["root"], "memoryPort": null}'`,
  );
  assert.deepEqual([(await told(source))?.power, (await told(source))?.outgoing?.target?.disksPort], ['off', 1]);
  await run(sql`update server_migration set phase = 'cancelling'`);
  assert.equal((await told(target))?.incoming?.cancelled, true);
  await run(sql`update server set host_id = ${target}, epoch = 2`);
  await run(
    sql`update server_migration set phase = 'moved', other_host_id = ${source}, other_epoch = 1, other_size = null`,
  );
  const kept = await told(source);
  assert.deepEqual([kept?.epoch, kept?.power, kept?.outgoing?.keep, kept?.incoming], [1, 'off', true, undefined]);
  assert.deepEqual([(await told(target))?.incoming, (await told(target))?.outgoing], [undefined, undefined]);
  const absences = () => run(sql`select host_id, epoch from server_absence`).then(({ rows }) => rows);
  assert.deepEqual(await absences(), []);
  await run(sql`delete from server`);
  assert.deepEqual(
    (await absences()).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    [
      { host_id: source, epoch: 1 },
      { host_id: target, epoch: 2 },
    ].toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  );
});

const changed = (a: object, b: object): string[] =>
  [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
    (key) => JSON.stringify(a[key as never]) !== JSON.stringify(b[key as never]),
  );
