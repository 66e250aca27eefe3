/** Every route of the volume dialect, held to its contract. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import { holdDocument } from '../../boundary/testing/documents.ts';
import { type AnyRank, type Walk, walkRights, walkWrongTypes } from '../../boundary/testing/walk.ts';
import { type VolumeDialectOptions, volumeDialect, volumeInfo } from './index.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const as = (...roles: string[]): Caller => ({ ...member, userId: newId(), roles: new Set(roles) });
const callers = {
  ...{ member, admin, outsider: as('cook'), reader: as('reader') },
  manager: as('manager', 'member', 'reader'),
  service: as('service'),
};
// What the walk makes counts.
await sql`update quota set maximum = -1 where project_id is null`.execute(api.db.database.query);

const make = async (path: string, body: object): Promise<string> => {
  const answer = await api.call(admin, 'POST', path, { body, version: 'latest' });
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return (Object.values(answer.body)[0] as { id: string }).id;
};
const type = (await api.call(admin, 'GET', '/types/default')).body.volume_type;

/** What is there to be asked for, by the collection that its id is of. */
const ids: Readonly<Record<string, string>> = {
  types: type.id,
  'qos-specs': await make('/qos-specs', { qos_specs: { name: 'walked' } }),
  group_types: await make('/group_types', { group_type: { name: 'walked' } }),
};

/** Of what is deleted another one each time, so that the rest stays. */
const idIn = (url: string, gone: boolean): string => (gone ? newId() : (ids[url.split('/')[3]!] ?? newId()));

const walk: Walk<AnyRank> = {
  // With the project in the path they are the same routes again.
  entries: api.entries.filter(({ url }) => !url.startsWith('/volume/v3/:projectId')),
  versions: [0, 70],
  outsiders: true,
  tries: 5,
  path: ({ url, method }) => ({
    id: idIn(url, method === 'DELETE'),
    key: 'x',
    project: member.projectId!,
    alias: 'os-hosts',
  }),
  body: () => undefined,
  async call({ method, url, payload, version, as }) {
    const { status, body } = await api.call(as ? callers[as] : null, method, `/${url}`, {
      version,
      ...(payload === undefined ? {} : { raw: payload }),
    });
    return { status, text: JSON.stringify(body) };
  },
};

test('what is of a wrong type is refused, and nothing ends in a fault of ours', async () => {
  assert.ok((await walkWrongTypes(walk)) > 0);
});

test('every route asks for the rights that its contract says', () => walkRights(walk));

test('the document that is checked in tells what the routes do', () =>
  holdDocument('volume', volumeInfo, volumeDialect({ withoutProjectPaths: true } as VolumeDialectOptions)));
