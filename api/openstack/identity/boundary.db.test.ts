/** Every route of the identity dialect, held to its contract. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { holdDocument } from '../../boundary/testing/documents.ts';
import { type Walk, walkRights, walkWrongTypes } from '../../boundary/testing/walk.ts';
import { identityDialect, identityInfo } from './index.ts';
import { asAdministrator, byPassword, makeTenant, type TestApi, testApi } from './testing.ts';

let api: TestApi;
let walk: Walk;

before(async () => {
  api = await testApi();
  const member = await makeTenant(api);
  const reader = await makeTenant(api, ['reader']);
  const tokens = { admin: api.admin, member: member.token, reader: reader.token };
  // What is walked over is nobody's who walks: their tokens must live on.
  const { make } = asAdministrator(api);
  const password = 'the present one';
  const made = (noun: string, body: object = {}): Promise<{ id: string }> => make(noun, { name: newId(), ...body });
  const ids: Record<string, string> = {
    domains: (await made('domain')).id,
    projects: (await made('project')).id,
    groups: (await made('group')).id,
    roles: (await made('role')).id,
    users: (await made('user', { password })).id,
    services: (await made('service', { type: 'walked' })).id,
    regions: (await made('region')).id,
    policies: (
      await api.call({
        method: 'POST',
        path: '/identity/v3/policies',
        token: api.admin,
        body: { policy: { type: 't', blob: 'b' } },
      })
    ).body.policy.id,
  };
  ids.endpoints = (await made('endpoint', { service_id: ids.services, interface: 'public', url: 'http://a' })).id;
  const [implied, changing] = [(await made('role')).id, (await made('user', { password })).id];
  walk = {
    entries: api.entries.filter(({ url }) => url.startsWith('/identity')),
    path({ url, method }) {
      const noun = url.replace(/\/OS-(INHERIT|EP-FILTER)/, '').split('/')[3]!;
      const id = url.endsWith('/password') ? changing : (ids[noun] ?? newId());
      return {
        // What is deleted as a whole is another one each time, so that the rest stays.
        id: method === 'DELETE' && url.endsWith('/:id') ? newId() : id,
        ...{
          place: id,
          project: ids.projects!,
          actor: ids[url.includes('/groups/') ? 'groups' : 'users']!,
          user: ids.users!,
        },
        ...{ role: ids.roles!, implied, tag: 'tag', one: newId() },
        ...{ group: 'identity', option: 'driver' },
      };
    },
    body({ url }) {
      if (url.endsWith('/auth/tokens')) return { auth: { identity: byPassword(ids.users!, password) } };
      if (url.includes('/config')) {
        return { config: url.endsWith('/:option') ? { driver: 'x' } : { identity: { driver: 'x' } } };
      }
      if (url.endsWith('/limits')) {
        return {
          limits: [
            { ...{ service_id: ids.services!, resource_name: 'x', resource_limit: 1 }, project_id: ids.projects! },
          ],
        };
      }
      if (url.endsWith('/registered_limits')) {
        return { registered_limits: [{ service_id: ids.services!, resource_name: 'x', default_limit: 1 }] };
      }
      if (url.includes('/protocols/:protocol')) return { protocol: { mapping_id: 'walked' } };
      // To itself, so that the next call finds it.
      return url.endsWith('/password') ? { user: { password, original_password: password } } : undefined;
    },
    async call({ method, url, payload, as }) {
      const answer = await api.app.inject({
        method: method as 'GET',
        url,
        headers: {
          ...(as ? { 'x-auth-token': tokens[as] } : {}),
          ...(payload ? { 'content-type': 'application/json' } : {}),
          ...(method === 'DELETE' ? {} : { 'x-subject-token': tokens.admin }),
        },
        ...(payload ? { payload } : {}),
      });
      return { status: answer.statusCode, text: answer.body };
    },
  };
});
after(() => api[Symbol.asyncDispose]());

test('every route asks for the rights that its contract says', () => walkRights(walk));

test('what is of a wrong type is refused, and nothing ends in a fault of ours', async () => {
  assert.ok((await walkWrongTypes(walk)) > 500);
});

test('the document that is checked in tells what the routes do', () =>
  holdDocument('identity', identityInfo, identityDialect({ identity: {} as never, publicUrl: 'https://cloud.test' })));
