/**
 * A cloud on a machine that has no IPv4 but its loopback's, in a network namespace: it starts, says addresses of IPv6 in its catalogue and files,
 * and is used from outside by these; a server starts. This process stands outside, at the other end of the machine's cable.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { reserveCloud } from '../../../cli/cloud/throw-away.ts';
import { cloudPaths } from '../../../cli/settings.ts';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import { bothy, environmentOf, type LiveCloud, mustRun, notLive } from '../../support/live-cloud.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

describe('a machine without IPv4', { skip: notLive, concurrency: 1 }, () => {
  const tag = randomBytes(2).toString('hex');
  const machine = `bothy-six-${tag}`;
  const outside = `b${tag}out`;
  // No group begins with a zero: addresses are compared as they are said.
  const prefix = `fd00:a${tag.slice(1)}`;
  const own = `${prefix}::1`;
  let data: string;
  let cloud: LiveCloud;

  const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });
  const inside = (...args: string[]) => mustRun('ip', ['netns', 'exec', machine, ...args], { deadlineMs: 300_000 });

  before(
    async () => {
      ip('netns', 'add', machine);
      ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', 'card0', 'netns', machine);
      for (const device of ['lo', 'card0']) ip('-n', machine, 'link', 'set', device, 'up');
      ip('-n', machine, 'addr', 'add', `${own}/64`, 'dev', 'card0', 'nodad');
      ip('link', 'set', outside, 'up');
      ip('addr', 'add', `${prefix}::fe/64`, 'dev', outside, 'nodad');
      ip('-n', machine, 'route', 'add', 'default', 'via', `${prefix}::fe`);
      const ipv4 = JSON.parse(ip('-n', machine, '-j', '-4', 'addr', 'show', 'scope', 'global'));
      assert.deepEqual(
        ipv4.filter((link: object) => 'addr_info' in link),
        [],
      );
      data = await reserveCloud();
      await inside(bothy, 'up', '--detach', '--data', data);
      const adminEnvironment = environmentOf(join(data, 'openrc'));
      cloud = { data, adminEnvironment, caFile: join(data, 'ca.pem'), [Symbol.asyncDispose]: async () => {} };
    },
    { timeout: 300_000 },
  );
  after(
    async () => {
      if (data) {
        await inside(bothy, 'down', '--purge', '--yes', '--data', data);
        execFileSync('rm', ['-rf', join(data, '..')]);
      }
      ip('netns', 'del', machine);
    },
    { timeout: 180_000 },
  );

  test('its files and its catalogue say addresses of IPv6, and its certificate is good for them', async () => {
    assert.match(cloud.adminEnvironment.OS_AUTH_URL!, new RegExp(`^https://\\[${own}\\]:\\d+/`));
    assert.match(readFileSync(join(data, 'clouds.yaml'), 'utf8'), new RegExp(`https://\\[${own}\\]`));
    const admin = await administrator(cloud);
    const { catalog } = await admin.must('GET', 'identity', '/v3/auth/catalog');
    const urls = catalog.flatMap(({ endpoints }: { endpoints: { url: string }[] }) => endpoints.map(({ url }) => url));
    assert.ok(urls.length > 0);
    for (const url of urls) assert.equal(new URL(url).hostname, `[${own}]`, url);
    admin.close();
  });

  test('its tunnels end at its address of IPv6', async () => {
    const { run } = cloudPaths(data);
    const said = await inside(
      'sh',
      '-c',
      `ovs-vsctl --db=unix:${run}/ovs/db.sock get Open_vSwitch . external_ids:ovn-encap-ip`,
    );
    assert.equal(said.trim(), `"${own}"`);
  });

  test('a server starts, by its API from outside', { timeout: 240_000 }, async () => {
    await ensurePublicGuest(cloud);
    const tenant = await Tenant.create(cloud, { cidr4: '10.68.0.0/24', cidr6: 'fd00:68::/64' });
    const id = await tenant.create('six');
    await tenant.active(id, 180_000);
    tenant.abandon();
  });
});
