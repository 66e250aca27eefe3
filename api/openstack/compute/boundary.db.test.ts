/** Every route of the compute dialect, held to its contract. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { oddName } from '../../../control/compute/server/testing.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import type { Contract } from '../../boundary/contract.ts';
import { holdDocument } from '../../boundary/testing/documents.ts';
import { type AnyRank, type Walk, walkRights, walkWrongTypes } from '../../boundary/testing/walk.ts';
import { forceDelete } from './actions/delete.ts';
import { type ComputeDialectOptions, computeDialect, computeInfo } from './index.ts';
import { computeApi } from './testing.ts';

const api = await computeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const reader: Caller = { ...member, userId: newId(), roles: new Set(['reader']) };
const as = (...roles: string[]): Caller => ({ ...member, userId: newId(), roles: new Set(roles) });
const callers = {
  ...{ reader, member, admin, outsider: as('cook') },
  manager: as('manager', 'member', 'reader'),
  service: as('service'),
};
// What the walk makes counts.
await sql`update quota set maximum = -1 where project_id is null`.execute(api.db.database.query);
const make = async (path: string, body: object): Promise<{ id: string }> => {
  const answer = await api.call(admin, 'POST', path, { body, version: 'latest' });
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return Object.values(answer.body)[0] as { id: string };
};
const host = await api.cloud.addHost({ name: 'walked-host', vcpus: 256, memoryMiB: 256 * 1024 });
const flavor = await make('/flavors', { flavor: { name: 'walked', ram: 64, vcpus: 1, disk: 1, id: 'walked' } });
const wish = { name: 'walked', imageRef: api.cloud.imageId, flavorRef: flavor.id, networks: 'auto' };
const server = await make('/servers', { server: wish });
await api.cloud.controller.reconcile(server.id);
await api.cloud.obey(host);
const interfaces = (await api.call(admin, 'GET', `/servers/${server.id}/os-interface`)).body.interfaceAttachments;
const groups = (await api.call(admin, 'GET', '/os-security-groups')).body.security_groups;

/** What is there to be asked for, by the collection that its id is of. */
const ids: Readonly<Record<string, string>> = {
  flavors: flavor.id,
  servers: server.id,
  'os-hypervisors': host,
  'os-services': host,
  'os-security-groups': groups[0].id,
};

const removes = ({ summary }: Contract): boolean => summary === forceDelete.summary;

/** Of what is deleted another one each time, so that the rest stays. */
const idIn = (url: string, gone: boolean): string => {
  if (url.includes('/os-aggregates/')) return gone ? '999999' : '1';
  return gone ? newId() : (ids[url.split('/')[3]!] ?? newId());
};

const walk: Walk<AnyRank> = {
  // v2.0 is the same routes again.
  entries: api.entries.filter(({ url }) => !url.startsWith('/compute/v2/')),
  versions: [1, 96],
  outsiders: true,
  // Of each action as of each route: some are enough each time.
  tries: 5,
  path: ({ url, method, contract }) => ({
    id: idIn(url, method === 'DELETE' || removes(contract)),
    key: 'x',
    tag: 'x',
    name: 'walked-host',
    network: oddName,
    port: interfaces[0].port_id,
    requestId: 'req-x',
    migration: '1',
    project: member.projectId!,
    alias: 'os-keypairs',
  }),
  body: ({ url, method }) => {
    if (method === 'POST' && /(servers|os-volumes_boot)$/.test(url)) return { server: wish };
    if (method === 'PUT' && url.endsWith('/os-aggregates/:id')) return { aggregate: { name: 'walked' } };
    if (method !== 'PUT' || !url.endsWith('/:key')) return undefined;
    return url.includes('/metadata/') ? { meta: { x: '1' } } : { x: '1' };
  },
  async call({ method, url, payload, version, as }) {
    const { status, body } = await api.call(as ? callers[as] : null, method, `/${url}`, {
      version,
      ...(payload === undefined ? {} : { raw: payload }),
    });
    return { status, text: JSON.stringify(body) };
  },
};

test('what is of a wrong type is refused, and nothing ends in a fault of ours', async () => {
  assert.ok((await walkWrongTypes(walk)) > 200);
});

test('every route asks for the rights that its contract says', () => walkRights(walk));

test('a server, a flavor and a host have at every microversion the form that the contract says', async () => {
  const changes = [
    1, 2, 3, 8, 9, 15, 16, 18, 19, 25, 26, 35, 36, 46, 47, 50, 51, 57, 58, 61, 62, 63, 69, 70, 71, 72, 73,
  ];
  for (const version of [...changes, 74, 75, 83, 84, 87, 88, 89, 90, 95, 96]) {
    for (const [who, path] of [
      [member, `/servers/${server.id}`],
      [admin, '/servers/detail'],
      [admin, `/servers/${server.id}/os-interface`],
      [member, `/servers/${server.id}/os-instance-actions`],
      [member, `/flavors/${flavor.id}`],
      [admin, '/os-hypervisors/detail?limit=1'],
      [member, '/limits'],
    ] as const) {
      const { status, body } = await api.call(who, 'GET', path, { version });
      assert.equal(status, 200, `${path} in 2.${version}: ${JSON.stringify(body)}`);
    }
  }
});

test('the document that is checked in tells what the routes do', () =>
  holdDocument('compute', computeInfo, computeDialect({ withoutLegacy: true } as ComputeDialectOptions)));
