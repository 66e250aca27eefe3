/** What all collections have in common, tried on each type by its own table of attributes: filters, orders, pages, parts, many at once, tags. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin } from '../../../control/network/testing.ts';
import { kinds } from './collection-kinds.ts';
import type { Resource, View } from './resource.ts';
import { type Me, refused, testApi } from './testing.ts';

const api = await testApi();

interface Made {
  resource: Resource;
  me: Me;
  /** Those alone. */
  mine: string;
  rows: View[];
}
const made: Made[] = [];

before(async () => {
  for (const kind of kinds) {
    const me = api.as(testAdmin());
    const [resource, wishes] = await kind(me, () => api.as(testAdmin()));
    const answer = await me.post(`/${resource.path}`, { [resource.plural]: wishes });
    assert.equal(answer.status, 201, `${resource.plural}: ${JSON.stringify(answer.body)}`);
    const rows: View[] = answer.body[resource.plural];
    assert.equal(rows.length, wishes.length, `many ${resource.plural} are made in one request`);
    made.push({
      resource,
      me,
      rows,
      mine: rows.map(({ id }) => `id=${id}`).join('&'),
    });
  }
});

/** Attributes that have a column which `holds`, by the names that callers know. */
const attributesOf = ({ attributes, listing }: Resource, holds: (column: { sortable?: boolean }) => boolean) =>
  Object.entries(attributes).flatMap(([name, { to, noFilter }]) => {
    const column = listing.columns[to ?? name];
    return column && !noFilter && holds(column) ? [name] : [];
  });

const idsOf = (views: View[]) => views.map(({ id }) => id as string);
const textOf = (value: unknown) => encodeURIComponent(value === null ? '' : String(value));

async function listed({ resource, me }: Made, query: string): Promise<View[]> {
  const answer = await me.get(`/${resource.path}?${query}`);
  assert.equal(answer.status, 200, `${resource.path}?${query}: ${JSON.stringify(answer.body)}`);
  return answer.body[resource.plural];
}

test('a list is filtered by each attribute that has a column: what has the value is there, what has another is not', async () => {
  for (const one of made) {
    for (const name of attributesOf(one.resource, () => true)) {
      const value = one.rows[0]![name];
      // What is a list in an answer has filters of its own kind.
      if (value === undefined || typeof value === 'object') continue;
      const found = await listed(one, `${name}=${textOf(value)}`);
      const should = one.rows.filter((row) => row[name] === value).map(({ id }) => id);
      const there = one.rows.filter(({ id }) => idsOf(found).includes(id as string)).map(({ id }) => id);
      assert.deepEqual(there, should, `${one.resource.plural} by ${name}`);
      assert.ok(
        // A network of several segments is found by each, and has none for itself.
        found.every((row) => row[name] === value || 'segments' in row),
        `${one.resource.plural} by ${name}`,
      );
    }
  }
});

test('a filter that a resource does not have is refused, for every type, and so is an order by it', async () => {
  for (const { resource, me } of made) {
    refused(await me.get(`/${resource.path}?colour=red`), 400, 'HTTPBadRequest', /invalid attribute for filtering/);
    refused(await me.get(`/${resource.path}?sort_key=colour&sort_dir=asc`), 400, 'HTTPBadRequest');
  }
});

test('a list comes in the order of each key that it can have, both ways', async () => {
  for (const one of made) {
    const keys = attributesOf(one.resource, ({ sortable }) => sortable === true);
    assert.ok(keys.includes('id'), one.resource.plural);
    for (const key of keys) {
      const up = await listed(one, `${one.mine}&sort_key=${key}&sort_dir=asc&sort_key=id&sort_dir=asc`);
      const down = await listed(one, `${one.mine}&sort_key=${key}&sort_dir=desc&sort_key=id&sort_dir=desc`);
      assert.equal(up.length, one.rows.length, `${one.resource.plural} by ${key}`);
      assert.deepEqual(idsOf(down), idsOf(up).reverse(), `${one.resource.plural} by ${key}`);
      const values = up.map((row) => row[key]);
      if (!values.every((value) => typeof value === 'string' || typeof value === 'number')) continue;
      if (/_ip_|cidr|gateway_ip/.test(key)) continue;
      const sorted = values.toSorted((a, b) => (a! < b! ? -1 : a! > b! ? 1 : 0));
      assert.deepEqual(values, sorted, `${one.resource.plural} by ${key}`);
    }
  }
});

test('pages follow each other by their links, forwards to the end and back to the beginning', async () => {
  for (const one of made) {
    const { plural, path } = one.resource;
    const follow = async (first: string, rel: string) => {
      const ids: string[] = [];
      let url: string | undefined = first;
      let last: string | undefined;
      while (url) {
        const { body, status } = await one.me.get(url);
        assert.equal(status, 200, url);
        ids.push(...idsOf(body[plural]));
        if (body[plural].length > 0) last = url;
        const link = body[`${plural}_links`]?.find((known: { rel: string }) => known.rel === rel);
        url = link?.href.slice('https://cloud.test'.length);
      }
      return { ids, last: last! };
    };
    const whole = idsOf(await listed(one, `${one.mine}&sort_key=id`));
    const forwards = await follow(`/${path}?${one.mine}&sort_key=id&limit=1`, 'next');
    assert.deepEqual(forwards.ids, whole, plural);
    const backwards = await follow(forwards.last, 'previous');
    assert.deepEqual(backwards.ids, whole.toReversed(), plural);
  }
});

test('before a page there is always a link to another, which from an empty page leads to the last', async () => {
  for (const one of made) {
    const { plural, path } = one.resource;
    const whole = idsOf(await listed(one, `${one.mine}&sort_key=id`));
    const size = Math.min(2, whole.length);
    const asked = `/${path}?${one.mine}&sort_key=id&limit=${size}`;
    const linked = async (url: string) => {
      const { body } = await one.me.get(url);
      const links = Object.fromEntries(
        (body[`${plural}_links`] ?? []).map(({ rel, href }: { rel: string; href: string }) => [
          rel,
          href.slice('https://cloud.test'.length),
        ]),
      );
      return { ids: idsOf(body[plural]), links };
    };
    const first = await linked(asked);
    assert.deepEqual(Object.keys(first.links), ['next', 'previous'], plural);
    assert.deepEqual((await linked(first.links.previous)).ids, []);
    const empty = await linked(`${asked}&marker=${whole.at(-1)}`);
    assert.deepEqual([empty.ids, Object.keys(empty.links)], [[], ['previous']], plural);
    assert.deepEqual((await linked(empty.links.previous)).ids, whole.slice(-size), plural);
  }
});

test('a body is read whatever its type says, and each of many may stand under its singular', async () => {
  const { me } = made[0]!;
  for (const type of [undefined, 'text/plain', 'application/x-www-form-urlencoded']) {
    const answer = await api.app.inject({
      method: 'POST',
      url: '/network/v2.0/networks',
      headers: { 'x-auth-token': me.token, ...(type ? { 'content-type': type } : {}) },
      payload: JSON.stringify({ networks: [{ network: { name: oddName } }, { name: oddName }] }),
    });
    assert.equal(answer.statusCode, 201, answer.body);
    const { networks: both } = answer.json();
    assert.deepEqual(
      both.map(({ name }: { name: string }) => name),
      [oddName, oddName],
    );
    for (const { id } of both) assert.equal((await me.delete(`/networks/${id}`)).status, 204);
  }
  const wrong = await me.post('/networks', { networks: [{ network: 7 }] });
  assert.equal(wrong.status, 400);
});

test('an answer is cut down to the fields that are asked for, in a list and alone', async () => {
  for (const one of made) {
    const { id } = one.rows[0]!;
    assert.deepEqual(await listed(one, `id=${id}&fields=id&fields=colour`), [{ id }]);
    const alone = await one.me.get(`/${one.resource.path}/${id}?fields=id`);
    assert.deepEqual(alone.body, { [one.resource.single]: { id } });
  }
});

/** Neutron's, of those that there are; an address group's are ours. */
const tagged =
  'networks subnets subnetpools ports routers floatingips security_groups address_groups policies trunks local_ips'.split(
    ' ',
  );

test('what has tags is found by them in four ways; they are set, added, checked and removed', async () => {
  assert.deepEqual(
    made
      .filter(({ rows }) => 'tags' in rows[0]!)
      .map(({ resource }) => resource.plural)
      .sort(),
    tagged.toSorted(),
  );
  for (const one of made.filter(({ resource }) => tagged.includes(resource.plural))) {
    const [first, second, third] = idsOf(one.rows) as [string, string, string];
    const tags = (id: string, tag = '') => `/${one.resource.path}/${id}/tags${tag}`;
    assert.deepEqual((await one.me.put(tags(first), { tags: ['red', '小屋'] })).body, { tags: ['red', '小屋'] });
    assert.deepEqual((await one.me.post(tags(second), { tags: ['red'] })).body, { tags: ['red'] });
    assert.deepEqual((await one.me.post(tags(second), { tags: ['blue', 'red'] })).body, { tags: ['blue', 'red'] });
    assert.deepEqual((await one.me.get(tags(second))).body, { tags: ['red', 'blue'] });
    const found = async (query: string) => idsOf(await listed(one, `${one.mine}&${query}`)).sort();
    assert.deepEqual(await found('tags=red'), [first, second].sort(), one.resource.plural);
    assert.deepEqual(await found('tags=red,blue'), [second]);
    assert.deepEqual(await found(`tags-any=blue,${encodeURIComponent('小屋')}`), [first, second].sort());
    assert.deepEqual(await found('not-tags=red,blue'), [first, third].sort());
    assert.deepEqual(await found('not-tags-any=red,blue'), [third]);
    assert.deepEqual(await found('tags=red&not-tags-any=blue'), [first]);
    assert.equal((await one.me.get(tags(second, '/blue'))).status, 204);
    assert.equal((await one.me.put(tags(third, '/green'))).status, 201);
    assert.equal((await one.me.delete(tags(second, '/blue'))).status, 204);
    refused(await one.me.get(tags(second, '/blue')), 404, 'TagNotFound');
    refused(await one.me.post(tags(second), { tags: ['a,b'] }), 400, 'InvalidInput');
    for (const id of [first, second, third]) assert.equal((await one.me.delete(tags(id))).status, 204);
    assert.deepEqual(await found('tags-any=red,blue,green'), []);
    refused(await one.me.post(tags(newId()), { tags: ['red'] }), 404, notFoundOf(one));
  }
});

/** The name of Neutron's exception. */
function notFoundOf({ resource: { single } }: Made): string {
  const words = single
    .replace(/^policy$/, 'qos_policy')
    .replace('floatingip', 'floating_IP')
    .replace('local_ip', 'local_IP')
    .replace('subnetpool', 'subnet_pool')
    .split('_');
  return `${words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')}NotFound`;
}

/** What fails in the database, after the one before it was made. By default: it would be a project's that there is none of. */
const impossible: Readonly<Record<string, (good: object) => object>> = {
  flavors: (good) => ({ ...good, service_profiles: [newId()] }),
  service_profiles: () => ({ driver: 'none' }),
  // Twice the same.
  default_security_group_rules: (good) => good,
  security_group_rules: (good) => good,
  rbac_policies: (good) => good,
  segments: (good) => good,
  port_forwardings: (good) => good,
  bandwidth_limit_rules: (good) => good,
  minimum_bandwidth_rules: (good) => good,
  dscp_marking_rules: (good) => good,
};

test('many at once are made all or none, of every type', async () => {
  for (const kind of kinds) {
    const me = api.as(testAdmin());
    const [{ path, plural }, wishes] = await kind(me, () => api.as(testAdmin()));
    // Those of the template are in use by then; each of these is none of them.
    const own = plural === 'default_security_group_rules' ? { protocol: 'sctp' } : {};
    const good = { ...wishes[0], ...own };
    const bad = impossible[plural]?.(good) ?? { ...good, tenant_id: newId() };
    const ids = async () => idsOf((await me.get(`/${path}?limit=1000`)).body[plural]).sort();
    const before = await ids();
    const answer = await me.post(`/${path}`, { [plural]: [good, bad] });
    assert.ok(answer.status >= 400 && answer.status < 500, `${plural}: ${JSON.stringify(answer.body)}`);
    assert.ok(answer.body.NeutronError.message !== '', plural);
    assert.deepEqual(await ids(), before, plural);
    const alone = await me.post(`/${path}`, { [plural]: [good] });
    assert.equal(alone.status, 201, `${plural}: ${JSON.stringify(alone.body)}`);
    assert.equal(alone.body[plural].length, 1);
  }
});
