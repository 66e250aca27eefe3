import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
const newFlavor = async (over: object = {}) =>
  (await admin.post('/flavors', { flavor: { name: oddName, service_type: 'L3_ROUTER_NAT', ...over } })).body.flavor;
const newProfile = async (over: object = {}) =>
  (await admin.post('/service_profiles', { service_profile: { driver: 'ovn', ...over } })).body.service_profile;

test('a flavor is made, shown to all, changed, and carried out by profiles that come and go', async () => {
  const me = api.as(testCaller());
  const flavor = await newFlavor({ description: 'one' });
  assert.deepEqual(flavor, {
    ...{ id: flavor.id, name: oddName, description: 'one', service_type: 'L3_ROUTER_NAT' },
    ...{ service_profiles: [], enabled: true },
  });
  assert.deepEqual((await me.get(`/flavors/${flavor.id}`)).body, { flavor });
  const changed = await admin.put(`/flavors/${flavor.id}`, { flavor: { name: 'n', enabled: false } });
  assert.deepEqual([changed.body.flavor.name, changed.body.flavor.enabled], ['n', false]);
  const profile = await newProfile();
  const path = `/flavors/${flavor.id}/service_profiles`;
  const bind = (id: string) => admin.post(path, { service_profile: { id } });
  assert.deepEqual([(await bind(profile.id)).status, (await bind(profile.id)).status], [201, 409]);
  refused(await bind(profile.id), 409, 'FlavorServiceProfileBindingExists');
  refused(await admin.post(path, { service_profile: {} }), 400, 'HTTPBadRequest', /Required attribute 'id'/);
  refused(await bind(newId()), 404, 'ServiceProfileNotFound');
  refused(await admin.delete(`/service_profiles/${profile.id}`), 409, 'ServiceProfileInUse');
  const patch = { service_profile: { description: 'x' } };
  refused(await admin.put(`/service_profiles/${profile.id}`, patch), 409, 'ServiceProfileInUse');
  assert.equal((await admin.delete(`${path}/${profile.id}`)).status, 204);
  refused(await admin.delete(`${path}/${profile.id}`), 404, 'FlavorServiceProfileBindingNotFound');
  assert.equal((await admin.put(`/service_profiles/${profile.id}`, patch)).body.service_profile.description, 'x');
  assert.equal((await admin.delete(`/service_profiles/${profile.id}`)).status, 204);
  assert.equal((await admin.delete(`/flavors/${flavor.id}`)).status, 204);
  refused(await me.get(`/flavors/${flavor.id}`), 404, 'FlavorNotFound');
});

test('a profile names a driver that there is, or says what it is for; only administrators see profiles', async () => {
  const me = api.as(testCaller());
  refused(await admin.post('/service_profiles', { service_profile: {} }), 400, 'ServiceProfileEmpty');
  refused(
    await admin.post('/service_profiles', { service_profile: { driver: 'l3-agent' } }),
    404,
    'ServiceProfileDriverNotFound',
  );
  const { id } = await newProfile({ driver: '', metainfo: '{"a": 1}' });
  refused(await me.get(`/service_profiles/${id}`), 404, 'ServiceProfileNotFound');
  assert.deepEqual((await me.get('/service_profiles')).body, { service_profiles: [] });
  refused(await me.post('/flavors', { flavor: { service_type: 'L3_ROUTER_NAT' } }), 403, 'PolicyNotAuthorized');
  refused(await me.post('/service_profiles', { service_profile: { driver: 'ovn' } }), 403, 'PolicyNotAuthorized');
  refused(await admin.post('/flavors', { flavor: { service_type: 'VPN' } }), 400, 'HTTPBadRequest', /service_type/);
});

test('a router has a flavor that is on and carried out, and keeps it in being', async () => {
  const me = api.as(testCaller());
  const route = (flavor_id: string) => me.post('/routers', { router: { flavor_id } });
  refused(await route(newId()), 404, 'FlavorNotFound');
  refused(await route((await newFlavor()).id), 404, 'FlavorServiceProfileBindingNotFound');
  const words = await newProfile({ driver: '', metainfo: 'x' });
  refused(await route((await newFlavor({ service_profiles: [words.id] })).id), 404, 'ServiceProfileDriverNotFound');
  const off = await newProfile({ enabled: false });
  refused(await route((await newFlavor({ service_profiles: [off.id] })).id), 503, 'ServiceProfileDisabled');
  const { id: profile } = await newProfile();
  refused(await route((await newFlavor({ service_profiles: [profile], enabled: false })).id), 503, 'FlavorDisabled');
  const flavor = await newFlavor({ service_profiles: [profile] });
  const { router } = (await route(flavor.id)).body;
  assert.equal(router.flavor_id, flavor.id);
  refused(await me.put(`/routers/${router.id}`, { router: { flavor_id: flavor.id } }), 400, 'HTTPBadRequest');
  assert.deepEqual((await me.get(`/routers?flavor_id=${flavor.id}&fields=id`)).body.routers, [{ id: router.id }]);
  refused(await admin.delete(`/flavors/${flavor.id}`), 409, 'FlavorInUse');
  await me.delete(`/routers/${router.id}`);
  assert.equal((await admin.delete(`/flavors/${flavor.id}`)).status, 204);
});
