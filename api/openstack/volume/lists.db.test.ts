/** What every list of the dialect has in common: pages that go on behind a marker, and filters by their versions. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { recordOperation } from '../../../control/kit/operation/operations.ts';
import { testPool } from '../../../control/storage/testing.ts';
import { lookAtIncomplete } from '../../../control/storage/volume/testing.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const db = api.db.database;
const call = async (method: string, path: string, body?: unknown, version = 70, who = member) => {
  const answer = await api.call(who, method, path, { version, ...(body !== undefined && { body }) });
  return { status: answer.status, body: answer.body };
};
async function obey(): Promise<void> {
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation,
    observed_epoch = epoch, observed_size_bytes = size_bytes`.execute(db.query);
  await lookAtIncomplete(db);
}
async function make(path: string, noun: string, wish: object, who = member): Promise<string> {
  const { status, body } = await call('POST', path, { [noun]: wish }, 70, who);
  assert.ok(status < 300, JSON.stringify(body));
  await obey();
  return body[noun].id;
}
const volumeIds: string[] = [];

/** Two of each, `b` after `a`. */
before(async () => {
  await testPool(db);
  const type = (await call('GET', '/types')).body.volume_types[0].id;
  await make('/types', 'volume_type', { name: 'b' }, admin);
  for (const name of ['a', 'b']) {
    const group_type = await make('/group_types', 'group_type', { name }, admin);
    await make('/groups', 'group', { name, group_type, volume_types: [type] });
    await make('/qos-specs', 'qos_specs', { name }, admin);
  }
  const [group] = (await call('GET', '/groups?sort=name:asc')).body.groups;
  await make('/volumes', 'volume', { size: 1, name: 'grouped', group_id: group.id, volume_type: type });
  for (const name of ['a', 'b']) {
    await make('/group_snapshots', 'group_snapshot', { name, group_id: group.id });
    const saved = await make('/volumes', 'volume', { size: 1, name: 'saved' });
    await make('/backups', 'backup', { name, volume_id: saved });
    const given = await make('/volumes', 'volume', { size: 1, name });
    await make('/volume-transfers', 'transfer', { name, volume_id: given });
    const kept = await make('/volumes', 'volume', { size: 1, name: `kept-${name}` });
    await make('/attachments', 'attachment', { volume_uuid: kept, instance_uuid: newId() });
    volumeIds.push(kept);
  }
  const actor = { actorId: member.userId, requestId: 'req-lists' };
  await db.transaction(actor, async (tx) => {
    for (const resourceId of volumeIds) {
      const what = { projectId: member.projectId, resourceType: 'volume', resourceId, verb: 'extend', generation: 2 };
      await recordOperation(tx, actor, what, { state: 'failed', code: 'internal', message: 'The disk is full.' });
    }
  });
});

test('every list goes on behind a marker, in every order that it has', async () => {
  const lists = {
    ...{ volumes: ['created_at', 'name', 'status'], snapshots: ['created_at', 'name', 'status'] },
    ...{ groups: ['created_at', 'name', 'status', 'group_type_id'], group_snapshots: ['created_at', 'name', 'status'] },
    ...{ attachments: ['created_at', 'id', 'volume_id', 'attach_status'], backups: ['created_at', 'name', 'size'] },
    ...{ 'volume-transfers': ['created_at', 'name'], types: ['created_at', 'name'], group_types: ['name'] },
    ...{ 'qos-specs': ['name'], messages: ['created_at', 'resource_uuid'] },
  };
  for (const [list, keys] of Object.entries(lists)) {
    const who = list === 'qos-specs' ? admin : member;
    for (const order of ['', ...keys.flatMap((key) => [`&sort=${key}:asc`, `&sort=${key}:desc`])]) {
      const page = async (query: string): Promise<string[]> => {
        const { status, body } = await call('GET', `/${list}?${query}${order}`, undefined, 70, who);
        assert.equal(status, 200, `${list}?${query}${order}: ${JSON.stringify(body)}`);
        return (Object.values(body)[0] as { id: string }[]).map(({ id }) => id);
      };
      const all = await page('limit=100');
      assert.ok(all.length >= 2, list);
      assert.deepEqual(await page(`limit=100&marker=${all[0]}`), all.slice(1), `${list}${order}`);
    }
  }
});

test('behind the first page of details there are details', async () => {
  for (const list of ['volumes', 'snapshots', 'backups', 'groups', 'group_snapshots', 'volume-transfers']) {
    const first = (await call('GET', `/${list}/detail?limit=1`)).body;
    const [[link]] = Object.entries(first).flatMap(([key, links]) => (/_links$/.test(key) ? [links] : [])) as [
      [{ href: string }],
    ];
    const next = new URL(link.href);
    assert.ok(next.pathname.endsWith(`/${list}/detail`), link.href);
    const second = (await call('GET', `/${list}/detail${next.search}`)).body;
    const [[one], [other]] = [first, second].map((body) => Object.values(body)[0] as object[]) as [[object], [object]];
    assert.deepEqual(Object.keys(other), Object.keys(one));
  }
});

test('before 3.22 snapshots are not filtered by their metadata', async () => {
  const count = async (version: number) =>
    (await call('GET', `/snapshots?metadata=${encodeURIComponent("{'no': 'such'}")}`, undefined, version)).body
      .snapshots.length;
  assert.ok((await count(21)) > 0);
  assert.equal(await count(22), 0);
});

test('from 3.31 on what nobody may filter by is refused, and from 3.34 on a part of a text is looked for', async () => {
  for (const list of ['volumes', 'snapshots', 'backups', 'groups', 'group_snapshots', 'attachments', 'messages']) {
    assert.equal((await call('GET', `/${list}?nonsense=1`, undefined, 30)).status, 200, list);
    assert.equal((await call('GET', `/${list}?nonsense=1`, undefined, 31)).status, 400, list);
    assert.equal((await call('GET', `/${list}?nonsense~=1`)).status, 400, list);
  }
  assert.equal((await call('GET', '/groups?list_volume=true')).status, 200);
  assert.equal((await call('GET', '/volumes?size~=1')).status, 400, 'a size has no parts');
  assert.equal((await call('GET', '/volumes?name~=kept', undefined, 33)).status, 400);
  const found = async (query: string, version = 70): Promise<number> => {
    const { body } = await call('GET', query, undefined, version);
    return (Object.values(body)[0] as unknown[]).length;
  };
  assert.deepEqual([await found('/volumes?name~=kept'), await found('/volumes?name~=kept-%25')], [2, 0]);
  assert.deepEqual([await found('/groups?name~=a'), await found('/groups?name~=x')], [1, 0]);
  assert.deepEqual([await found('/group_snapshots?name~=b'), await found('/group_snapshots?status~=vail')], [1, 2]);
  const [volume = ''] = volumeIds;
  assert.equal(await found(`/attachments?volume_id~=${volume.slice(0, 13)}`), 1);
  assert.deepEqual([await found('/attachments?status~=serv'), await found('/attachments?attach_status~=x')], [2, 0]);
  assert.deepEqual(
    [await found(`/messages?resource_uuid~=${volume.slice(0, 13)}`), await found('/messages?request_id~=x')],
    [1, 0],
  );
});

test('administrators find what one project has among all, and nobody else by a project’s id', async () => {
  const other = newId();
  for (const [path, noun] of [
    ...[
      ['volumes/detail', 'volumes'] as const,
      ['snapshots/detail', 'snapshots'] as const,
      ['backups', 'backups'] as const,
    ],
    ...[['attachments', 'attachments'] as const, ['groups', 'groups'] as const],
    ['group_snapshots', 'group_snapshots'],
  ] as const) {
    const found = async (query: string, who = admin, version = 70) => {
      const { status, body } = await call('GET', `/${path}?${query}`, undefined, version, who);
      return status === 200 ? body[noun].length : status;
    };
    const all = await found('all_tenants=1');
    assert.equal(await found(`all_tenants=1&project_id=${member.projectId}`), all, path);
    assert.equal(await found(`all_tenants=1&project_id=${other}`), 0, path);
    assert.equal(await found('all_tenants=1&project_id=nobody'), 0, path);
    assert.equal(await found(`project_id=${other}`, member), 400, path);
    assert.equal(await found(`project_id=${other}`, member, 30), await found('', member, 30), path);
  }
});

test('before 3.29 lists of group snapshots have neither pages nor filters', async () => {
  const names = async (version: number) =>
    (await call('GET', '/group_snapshots?limit=1&name=a', undefined, version)).body.group_snapshots.length;
  assert.deepEqual([await names(28), await names(29)], [2, 1]);
});
