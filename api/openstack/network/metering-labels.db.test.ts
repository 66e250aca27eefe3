import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
const [labels, rules] = ['/metering/metering-labels', '/metering/metering-label-rules'];

const newLabel = async (over: object = {}) =>
  (await admin.post(labels, { metering_label: { name: oddName, ...over } })).body.metering_label;
const addRule = (metering_label_id: string, over: object) =>
  admin.post(rules, { metering_label_rule: { metering_label_id, direction: 'ingress', ...over } });
const someone = async () => {
  const caller = testCaller();
  await api.as(caller).get('/networks');
  return { me: api.as(caller), project: caller.projectId! };
};

test('a label is made, listed by what it is, shown and deleted with its rules', async () => {
  const label = await newLabel({ description: '小屋' });
  const { project_id } = label;
  assert.deepEqual(label, {
    ...{ id: label.id, name: oddName, description: '小屋', shared: false, tenant_id: project_id, project_id },
  });
  assert.deepEqual((await admin.get(`${labels}/${label.id}`)).body, { metering_label: label });
  const found = async (query: string) => (await admin.get(`${labels}?${query}`)).body.metering_labels;
  assert.deepEqual(await found(`id=${label.id}&shared=False`), [label]);
  assert.deepEqual(await found(`id=${label.id}&fields=name`), [{ name: oddName }]);
  assert.deepEqual(await found('id=33'), []);
  const made = await addRule(label.id, { remote_ip_prefix: '10.0.0.0/24' });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { metering_label_rule: rule } = made.body;
  assert.equal((await admin.delete(`${labels}/${label.id}`)).status, 204);
  refused(await admin.get(`${labels}/${label.id}`), 404, 'MeteringLabelNotFound', new RegExp(label.id));
  refused(await admin.get(`${rules}/${rule.id}`), 404, 'MeteringLabelRuleNotFound', new RegExp(rule.id));
  refused(await admin.delete(`${labels}/${label.id}`), 404, 'MeteringLabelNotFound');
  refused(await addRule(label.id, { remote_ip_prefix: '10.0.0.0/24' }), 404, 'MeteringLabelNotFound');
  refused(await admin.get(`${labels}/33`), 404, 'MeteringLabelNotFound');
});

test('a rule shows its prefixes as they were given', async () => {
  const { id } = await newLabel();
  const rule = async (over: object) => {
    const { status, body } = await addRule(id, over);
    assert.equal(status, 201, JSON.stringify(body));
    return body.metering_label_rule;
  };
  const remote = await rule({ remote_ip_prefix: '10.0.0.7/24', tenant_id: newId() });
  assert.deepEqual(remote, {
    ...{ id: remote.id, metering_label_id: id, direction: 'ingress', excluded: false },
    ...{ remote_ip_prefix: '10.0.0.7/24', source_ip_prefix: null, destination_ip_prefix: null },
  });
  const both = await rule({ source_ip_prefix: '10.0.0.1', destination_ip_prefix: '0.0.0.0/0', direction: 'egress' });
  assert.deepEqual([both.source_ip_prefix, both.destination_ip_prefix], ['10.0.0.1/32', '0.0.0.0/0']);
  const six = await rule({ source_ip_prefix: '2001:DB8::/32', remote_ip_prefix: null, excluded: true });
  assert.deepEqual([six.source_ip_prefix, six.excluded], ['2001:db8::/32', true]);
  const found = async (query: string) =>
    (await admin.get(`${rules}?metering_label_id=${id}&${query}`)).body.metering_label_rules.map(
      (one: { id: string }) => one.id,
    );
  assert.deepEqual(await found('direction=egress'), [both.id]);
  assert.deepEqual(await found('remote_ip_prefix=10.0.0.7/24'), [remote.id]);
  assert.deepEqual(await found('excluded=True&source_ip_prefix=2001:db8::/32'), [six.id]);
  assert.equal((await found('sort_key=direction&sort_dir=asc'))[0], both.id);
  const page = (await admin.get(`${rules}?metering_label_id=${id}&limit=1`)).body;
  assert.equal(page.metering_label_rules_links[0].rel, 'next');
  assert.equal((await admin.delete(`${rules}/${six.id}`)).status, 204);
  refused(await admin.delete(`${rules}/${six.id}`), 404, 'MeteringLabelRuleNotFound');
});

test('prefixes that contradict each other, are none or are missing are refused', async () => {
  const { id } = await newLabel();
  const [a, b] = ['10.0.0.0/24', '192.0.2.0/24'];
  for (const other of ['source_ip_prefix', 'destination_ip_prefix'])
    refused(await addRule(id, { remote_ip_prefix: a, [other]: b }), 400, 'Invalid', /in conjunction/);
  for (const over of [{}, { remote_ip_prefix: null }, { source_ip_prefix: '' }])
    refused(await addRule(id, over), 400, 'Invalid', /at least one/);
  const two = { source_ip_prefix: a, destination_ip_prefix: '2001:db8::/32' };
  refused(await addRule(id, two), 400, 'Invalid', /two IP versions/);
  for (const remote_ip_prefix of ['10.0.0.0/33', 'ten', '10.0.0', 7, '10.0.0.0/255.0.0.0', '::1/129'])
    refused(await addRule(id, { remote_ip_prefix }), 400, 'HTTPBadRequest');
  refused(await addRule(id, { remote_ip_prefix: a, direction: 'both' }), 400, 'HTTPBadRequest');
  const nowhere = { metering_label_rule: { remote_ip_prefix: a, metering_label_id: id } };
  refused(await admin.post(rules, nowhere), 400, 'HTTPBadRequest', /direction/);
  assert.equal((await admin.get(`${rules}?metering_label_id=${id}`)).body.metering_label_rules.length, 0);
});

test('remote prefixes of one label, direction and sense overlap nowhere, all others may', async () => {
  const { id } = await newLabel();
  const status = async (over: object, label = id) => (await addRule(label, over)).status;
  assert.equal(await status({ remote_ip_prefix: '10.0.0.0/24' }), 201);
  refused(await addRule(id, { remote_ip_prefix: '10.0.0.9' }), 409, 'MeteringLabelRuleOverlaps', /10\.0\.0\.9/);
  assert.equal(await status({ remote_ip_prefix: '0.0.0.0/0' }), 409);
  assert.equal(await status({ remote_ip_prefix: '10.0.1.0/24' }), 201);
  assert.equal(await status({ remote_ip_prefix: '10.0.0.9', direction: 'egress' }), 201);
  assert.equal(await status({ remote_ip_prefix: '10.0.0.9', excluded: true }), 201);
  assert.equal(await status({ destination_ip_prefix: '10.0.0.0/24' }), 201);
  assert.equal(await status({ destination_ip_prefix: '10.0.0.0/24' }), 201);
  assert.equal(await status({ remote_ip_prefix: '10.0.0.0/24' }, (await newLabel()).id), 201);
  const at_once = ['172.16.0.0/16', '172.16.1.0/24'].map((remote_ip_prefix) => ({
    ...{ metering_label_id: id, direction: 'ingress', remote_ip_prefix },
  }));
  refused(await admin.post(rules, { metering_label_rules: at_once }), 409, 'MeteringLabelRuleOverlaps');
  assert.equal((await admin.get(`${rules}?remote_ip_prefix=172.16.0.0/16`)).body.metering_label_rules.length, 0);
  at_once[1]!.remote_ip_prefix = '172.17.0.0/16';
  assert.equal((await admin.post(rules, { metering_label_rules: at_once })).body.metering_label_rules.length, 2);
});

test('of many who make rules that overlap at once one does', async () => {
  const { id } = await newLabel();
  const made = await Promise.all([1, 2, 3, 4].map(() => addRule(id, { remote_ip_prefix: '10.0.0.0/8' })));
  assert.deepEqual(made.map(({ status }) => status).sort(), [201, 409, 409, 409]);
});

test('administrators write labels for any project, which alone sees them, shared or not', async () => {
  const [{ me, project }, { me: stranger }] = [await someone(), await someone()];
  const label = await newLabel({ project_id: project, shared: true });
  const rule = (await addRule(label.id, { remote_ip_prefix: '10.0.0.0/24' })).body.metering_label_rule;
  assert.deepEqual((await me.get(labels)).body.metering_labels, [label]);
  assert.deepEqual((await me.get(rules)).body.metering_label_rules, [rule]);
  assert.deepEqual((await stranger.get(labels)).body.metering_labels, []);
  assert.deepEqual((await stranger.get(rules)).body.metering_label_rules, []);
  refused(await stranger.get(`${labels}/${label.id}`), 404, 'MeteringLabelNotFound');
  refused(await stranger.delete(`${rules}/${rule.id}`), 404, 'MeteringLabelRuleNotFound');
  refused(await me.delete(`${labels}/${label.id}`), 403, 'PolicyNotAuthorized');
  refused(await me.delete(`${rules}/${rule.id}`), 403, 'PolicyNotAuthorized');
  refused(await me.post(labels, { metering_label: { name: 'mine' } }), 403, 'PolicyNotAuthorized');
  const wish = { metering_label_id: label.id, direction: 'ingress', remote_ip_prefix: '10.1.0.0/24' };
  refused(await me.post(rules, { metering_label_rule: wish }), 403, 'PolicyNotAuthorized');
  const many = await admin.post(labels, { metering_labels: [{ name: 'a' }, { name: 'b', shared: true }] });
  assert.deepEqual(
    many.body.metering_labels.map(({ shared }: { shared: boolean }) => shared),
    [false, true],
  );
  assert.equal((await admin.put(`${labels}/${label.id}`, { metering_label: { name: 'x' } })).status, 404);
  assert.equal((await admin.delete(`${labels}/${label.id}`)).status, 204);
});

test('as many rules count on the routers of a project as may, and not one more', async () => {
  const { project } = await someone();
  const { id } = await newLabel({ project_id: project });
  const { metering_label_rules: before } = (await admin.get(rules)).body;
  const shared = (await admin.get(`${labels}?shared=True`)).body.metering_labels.map((one: { id: string }) => one.id);
  const sharedRules = before.filter((rule: { metering_label_id: string }) => shared.includes(rule.metering_label_id));
  const wishes = (count: number) =>
    Array.from({ length: count }, (_, n) => ({
      ...{ metering_label_id: id, direction: 'egress', source_ip_prefix: `10.9.${n}.0/24` },
    }));
  const free = 100 - sharedRules.length;
  refused(await admin.post(rules, { metering_label_rules: wishes(free + 1) }), 400, 'InvalidInput', /at most 100/);
  assert.equal((await admin.post(rules, { metering_label_rules: wishes(free) })).status, 201);
  refused(await addRule(id, { source_ip_prefix: '10.10.0.0/24' }), 400, 'InvalidInput');
  const everywhere = await newLabel({ shared: true });
  refused(await addRule(everywhere.id, { source_ip_prefix: '10.10.0.0/24' }), 400, 'InvalidInput');
  const elsewhere = await newLabel({ project_id: (await someone()).project });
  assert.equal((await addRule(elsewhere.id, { source_ip_prefix: '10.10.0.0/24' })).status, 201);
});
