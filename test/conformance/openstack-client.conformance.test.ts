/**
 * Debian's unmodified python3-openstackclient against a live cloud: every command that the first release promises,
 * with a name in several scripts for every kind of object.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ensureGuestImage } from '../support/guest-image.ts';
import { type LiveCloud, liveCloud, mustRun, notLive, type Output, run, until } from '../support/live-cloud.ts';

/** A name that is hostile to every quoting there is. */
const strange = (kind: string) => `小屋 🏔 "x"; drop ${kind}`;

describe('the openstack client', { skip: notLive, concurrency: 1 }, () => {
  let cloud: LiveCloud;
  let environment: Record<string, string>;
  let folder: string;
  let guest: string;

  before(
    async () => {
      cloud = await liveCloud();
      environment = cloud.adminEnvironment;
      folder = mkdtempSync(join(tmpdir(), 'bothy-conformance-'));
      guest = await ensureGuestImage();
    },
    { timeout: 420_000 },
  );
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await cloud[Symbol.asyncDispose]();
  });

  const openstack = (...args: string[]): Promise<Output> =>
    run('openstack', args, { env: { PATH: process.env.PATH!, HOME: folder, LANG: 'C.UTF-8', ...environment } });

  /** The parsed `-f json` answer of a command that must succeed. */
  const ask = async (...args: string[]) => {
    const result = await openstack(...args, '-f', 'json');
    assert.equal(result.status, 0, `openstack ${args.join(' ')}\n${result.stdout}${result.stderr}`);
    return JSON.parse(result.stdout);
  };
  const tell = async (...args: string[]) => {
    const result = await openstack(...args);
    assert.equal(result.status, 0, `openstack ${args.join(' ')}\n${result.stdout}${result.stderr}`);
    return result.stdout;
  };
  const refuse = async (pattern: RegExp, ...args: string[]) => {
    const result = await openstack(...args);
    assert.notEqual(result.status, 0, `openstack ${args.join(' ')} succeeded`);
    assert.match(result.stdout + result.stderr, pattern);
  };

  test('issues a token and lists the catalogue', async () => {
    const token = await ask('token', 'issue');
    assert.ok(token.id.length > 20 && token.project_id && token.user_id);
    const catalogue = await ask('catalog', 'list');
    const types = catalogue.map((service: { Type: string }) => service.Type);
    for (const type of ['identity', 'image', 'network', 'compute']) assert.ok(types.includes(type), type);
  });

  test('makes projects, users and role assignments', async () => {
    const project = await ask('project', 'create', '--description', 'a project', strange('project'));
    assert.equal(project.name, strange('project'));
    await ask('user', 'create', '--password', 'correct horse 🐎', '--email', 'hut@example.org', strange('user'));
    await tell('role', 'add', '--project', strange('project'), '--user', strange('user'), 'member');
    const assignments = await ask('role', 'assignment', 'list', '--names', '--project', strange('project'));
    assert.deepEqual(
      assignments.map((a: { Role: string; User: string }) => [a.Role, a.User]),
      [['member', `${strange('user')}@Default`]],
    );
    await tell('project', 'set', '--description', 'changed', strange('project'));
    assert.equal((await ask('project', 'show', strange('project'))).description, 'changed');
    assert.ok((await ask('project', 'list')).some((p: { Name: string }) => p.Name === strange('project')));
    assert.ok((await ask('user', 'list')).some((u: { Name: string }) => u.Name === strange('user')));
    assert.ok((await ask('role', 'list')).some((r: { Name: string }) => r.Name === 'member'));
    assert.equal((await ask('domain', 'list'))[0].Name, 'Default');
  });

  test('refuses a wrong password', async () => {
    const kept = environment;
    environment = { ...environment, OS_PASSWORD: 'wrong' };
    await refuse(/401/, 'token', 'issue');
    environment = kept;
  });

  test('from here on is a member of that project, by application credential', async () => {
    const user = { OS_USERNAME: strange('user'), OS_PASSWORD: 'correct horse 🐎', OS_PROJECT_NAME: strange('project') };
    const administrator = environment;
    environment = { ...environment, ...user };
    const credential = await ask('application', 'credential', 'create', strange('credential'));
    assert.ok(credential.secret);
    assert.equal((await ask('application', 'credential', 'list')).length, 1);
    const { OS_AUTH_URL, OS_CACERT, OS_REGION_NAME, OS_IDENTITY_API_VERSION } = administrator;
    environment = {
      OS_AUTH_URL: OS_AUTH_URL!,
      OS_CACERT: OS_CACERT!,
      OS_REGION_NAME: OS_REGION_NAME!,
      OS_IDENTITY_API_VERSION: OS_IDENTITY_API_VERSION ?? '3',
      OS_AUTH_TYPE: 'v3applicationcredential',
      OS_APPLICATION_CREDENTIAL_ID: credential.id,
      OS_APPLICATION_CREDENTIAL_SECRET: credential.secret,
    };
    assert.equal((await ask('token', 'issue')).project_id, credential.project_id);
    await refuse(/403|Forbidden|not authorized|needs the role/i, 'project', 'create', 'not mine to make');
  });

  const asAdministrator = async (work: () => Promise<void>) => {
    const kept = environment;
    environment = cloud.adminEnvironment;
    try {
      await work();
    } finally {
      environment = kept;
    }
  };

  test('creates, lists, shows, changes, saves and deletes images', async () => {
    const made = await ask(
      'image',
      'create',
      '--file',
      guest,
      '--disk-format',
      'qcow2',
      '--container-format',
      'bare',
      strange('image'),
    );
    // The client prints the image as it was before its own upload.
    assert.equal(made.name, strange('image'));
    assert.equal((await ask('image', 'show', made.id)).status, 'active');
    const saved = join(folder, 'saved.qcow2');
    await tell('image', 'save', '--file', saved, strange('image'));
    assert.ok(readFileSync(saved).equals(readFileSync(guest)), 'what comes out is what went in');
    await tell('image', 'set', '--property', 'hut=小屋', '--min-ram', '64', strange('image'));
    const shown = await ask('image', 'show', strange('image'));
    assert.equal(shown.properties.hut, '小屋');
    assert.equal(shown.min_ram, 64);
    assert.ok((await ask('image', 'list')).some((i: { Name: string }) => i.Name === strange('image')));

    const liar = join(folder, 'liar.img');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', liar, '1M']);
    await refuse(/400.*qcow2/is, 'image', 'create', '--file', liar, '--disk-format', 'vmdk', 'liar');
    for (const image of await ask('image', 'list')) if (image.Name === 'liar') await tell('image', 'delete', image.ID);
    const words = join(folder, 'words.img');
    writeFileSync(words, 'this is no disk');
    // As Glance: what is of no format is its owner's affair.
    const { id } = await ask('image', 'create', '--file', words, '--disk-format', 'qcow2', 'odd');
    const odd = await ask('image', 'show', id);
    assert.deepEqual([odd.status, odd.virtual_size ?? null], ['active', null]);
    await tell('image', 'delete', id);
    const small = await ask('image', 'create', '--file', words, '--disk-format', 'raw', 'small');
    await tell('image', 'delete', small.id);
    await refuse(/No Image found|404/, 'image', 'show', 'small');
  });

  test('lists flavors; the administrator makes one', async () => {
    await asAdministrator(async () => {
      await ask('flavor', 'create', '--ram', '160', '--disk', '1', '--vcpus', '1', strange('flavor'));
      await ask(
        'flavor',
        'create',
        '--ram',
        '128',
        '--disk',
        '1',
        '--vcpus',
        '1',
        '--id',
        'second',
        'flavor to delete',
      );
      await tell('flavor', 'delete', 'second');
    });
    const flavors = await ask('flavor', 'list');
    assert.ok(flavors.some((f: { Name: string }) => f.Name === strange('flavor')));
    assert.equal((await ask('flavor', 'show', strange('flavor'))).ram, 160);
    await refuse(/403|Forbidden|not allowed|needs the role/i, 'flavor', 'create', '--ram', '1', '--vcpus', '1', 'mine');
  });

  test('makes, lists, shows and deletes key pairs', async () => {
    const key = join(folder, 'key');
    await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    await ask('keypair', 'create', '--public-key', `${key}.pub`, 'hut key');
    const generated = await tell('keypair', 'create', 'generated');
    assert.match(generated, /PRIVATE KEY/);
    assert.equal((await ask('keypair', 'list')).length, 2);
    assert.equal((await ask('keypair', 'show', 'hut key')).name, 'hut key');
    await tell('keypair', 'delete', 'generated');
    assert.equal((await ask('keypair', 'list')).length, 1);
  });

  test('makes, lists, shows, changes and deletes networks, subnets, routers, ports and security groups', async () => {
    await ask('network', 'create', strange('network'));
    await ask('subnet', 'create', '--network', strange('network'), '--subnet-range', '10.20.0.0/24', strange('subnet'));
    const v6 = [
      '--ip-version',
      '6',
      '--ipv6-ra-mode',
      'slaac',
      '--ipv6-address-mode',
      'slaac',
      '--subnet-range',
      'fd00:20::/64',
    ];
    await ask('subnet', 'create', '--network', strange('network'), ...v6, 'subnet-v6');
    await ask('router', 'create', strange('router'));
    await tell('router', 'add', 'subnet', strange('router'), strange('subnet'));
    await tell('router', 'add', 'subnet', strange('router'), 'subnet-v6');
    const external = (await ask('network', 'list', '--external'))[0];
    await tell('router', 'set', '--external-gateway', external.ID, strange('router'));
    assert.ok((await ask('router', 'show', strange('router'))).external_gateway_info);

    await ask('security', 'group', 'create', '--description', 'ssh and ping', strange('group'));
    const ssh = ['--protocol', 'tcp', '--dst-port', '22', '--remote-ip', '0.0.0.0/0'];
    await ask('security', 'group', 'rule', 'create', ...ssh, strange('group'));
    const ping = await ask('security', 'group', 'rule', 'create', '--protocol', 'icmp', strange('group'));
    await tell('security', 'group', 'rule', 'delete', ping.id);
    assert.equal((await ask('security', 'group', 'rule', 'list', strange('group'))).length, 3);
    assert.equal((await ask('security', 'group', 'show', strange('group'))).name, strange('group'));

    await ask('port', 'create', '--network', strange('network'), strange('port'));
    await tell('port', 'set', '--name', 'renamed', strange('port'));
    assert.equal((await ask('port', 'show', 'renamed')).fixed_ips.length, 2, 'one address of each family');
    await tell('port', 'delete', 'renamed');

    await tell('network', 'set', '--description', '小屋', strange('network'));
    assert.equal((await ask('network', 'show', strange('network'))).description, '小屋');
    await tell('subnet', 'set', '--dns-nameserver', '192.0.2.53', strange('subnet'));
    assert.deepEqual((await ask('subnet', 'show', strange('subnet'))).dns_nameservers, ['192.0.2.53']);
    await refuse(/409|in use|Conflict/i, 'network', 'delete', strange('network'));
    for (const kind of ['network', 'subnet', 'router', 'port']) assert.ok(Array.isArray(await ask(kind, 'list')));
    assert.ok((await ask('security', 'group', 'list')).length >= 2, 'the project has its default group too');
  });

  test('boots a server, enters it by SSH through a floating IP, and deletes it', async () => {
    const userData = join(folder, 'user-data');
    writeFileSync(userData, '#!/bin/sh\necho user-data-ran > /run/user-data-ran\n');
    const server = await ask(
      ...['server', 'create', '--wait', '--image', strange('image'), '--flavor', strange('flavor')],
      ...['--network', strange('network'), '--security-group', strange('group'), '--key-name', 'hut key'],
      ...['--user-data', userData, '--config-drive', 'True', '--property', 'height=1200 m', strange('server')],
    );
    assert.equal(server.status, 'ACTIVE');
    assert.equal(server.name, strange('server'));
    assert.ok(
      (await ask('server', 'list')).some(
        (s: { ID: string; Status: string }) => s.ID === server.id && s.Status === 'ACTIVE',
      ),
    );

    const external = (await ask('network', 'list', '--external'))[0];
    const floating = await ask('floating', 'ip', 'create', external.ID);
    await tell('server', 'add', 'floating', 'ip', strange('server'), floating.floating_ip_address);
    const shown = await ask('server', 'show', strange('server'));
    assert.ok(JSON.stringify(shown.addresses).includes(floating.floating_ip_address));
    assert.ok((await ask('floating', 'ip', 'list')).length === 1);

    const options = [`UserKnownHostsFile=${folder}/known`, 'StrictHostKeyChecking=no', 'ConnectTimeout=5'].flatMap(
      (o) => ['-o', o],
    );
    const enter = (command: string) =>
      run('ssh', ['-i', join(folder, 'key'), ...options, `cirros@${floating.floating_ip_address}`, command], {
        deadlineMs: 20_000,
      });
    await until('ssh answers', async () => (await enter('true')).status === 0, 120_000, 500);
    assert.match((await enter('cat /run/user-data-ran')).stdout, /user-data-ran/);

    // `server ssh` runs the system's ssh with a terminal; a command given to it proves the log-in.
    const viaClient = await openstack(
      'server',
      'ssh',
      '--address-type',
      'floating',
      '--login',
      'cirros',
      '--identity',
      join(folder, 'key'),
      ...options.filter((o) => o !== '-o').flatMap((o) => ['--option', o]),
      strange('server'),
    );
    assert.equal(viaClient.status, 0, viaClient.stderr);

    assert.match(await tell('console', 'log', 'show', strange('server')), /./);
    await tell('server', 'stop', strange('server'));
    await until(
      'SHUTOFF',
      async () => (await ask('server', 'show', strange('server'))).status === 'SHUTOFF',
      90_000,
      500,
    );
    await tell('server', 'start', strange('server'));
    await until(
      'ACTIVE',
      async () => (await ask('server', 'show', strange('server'))).status === 'ACTIVE',
      60_000,
      500,
    );
    await tell('server', 'reboot', '--hard', '--wait', strange('server'));
    await until('ssh answers after the reboot', async () => (await enter('true')).status === 0, 120_000, 500);
    await tell('server', 'set', '--name', 'renamed server', strange('server'));
    await tell('server', 'remove', 'floating', 'ip', 'renamed server', floating.floating_ip_address);
    await tell('floating', 'ip', 'delete', floating.floating_ip_address);
    await tell('server', 'delete', '--wait', 'renamed server');
    assert.deepEqual(await ask('server', 'list'), []);
  });

  test('says that a host is down, takes that back, and removes no host that has the only copy of an image', async () => {
    await asAdministrator(async () => {
      const services = (...words: string[]) => ['--os-compute-api-version', '2.53', 'compute', 'service', ...words];
      const [{ Host: host, ID: id }] = await ask(...services('list', '--service', 'nova-compute'));
      const state = async () => (await ask(...services('list', '--service', 'nova-compute')))[0].State;
      await tell(...services('set', '--down', host, 'nova-compute'));
      assert.equal(await state(), 'down');
      assert.equal((await ask('hypervisor', 'list'))[0].State, 'down');
      await refuse(/no other host has image/, ...services('delete', id));
      await tell(...services('set', '--up', host, 'nova-compute'));
      assert.equal(await state(), 'up');
    });
  });

  test('shows hypervisors, limits and quotas', async () => {
    await asAdministrator(async () => {
      const hypervisors = await ask('hypervisor', 'list');
      assert.equal(hypervisors[0].State, 'up');
      assert.ok(await ask('quota', 'show', strange('project')));
    });
    const limits = await ask('limits', 'show', '--absolute');
    assert.ok(limits.some((l: { Name: string }) => l.Name === 'maxTotalInstances'));
    assert.ok(await ask('quota', 'show'));
    assert.ok(await ask('availability', 'zone', 'list'));
  });

  test('makes containers, keeps objects in them, gives them back bit for bit, and deletes both', async () => {
    const [container, object] = [strange('container'), `a/${strange('object')}`];
    const [made] = await ask('container', 'create', container);
    assert.deepEqual([made.account, made.container], [`AUTH_${(await ask('token', 'issue')).project_id}`, container]);
    const file = join(folder, 'object');
    writeFileSync(file, Buffer.alloc(300_000, 'bothy'));
    await ask('object', 'create', container, file, '--name', object);
    // This client sends no property that is not ASCII, and says so in its log alone.
    await tell('object', 'set', '--property', 'colour=blue', container, object);
    const shown = await ask('object', 'show', container, object);
    assert.deepEqual([shown['content-length'], shown.properties.colour], ['300000', 'blue']);
    assert.deepEqual(await ask('object', 'list', container, '--prefix', 'a/'), [{ Name: object }]);
    await tell('object', 'save', container, object, '--file', `${file}.back`);
    assert.ok(readFileSync(`${file}.back`).equals(readFileSync(file)));
    assert.equal((await ask('container', 'show', container)).object_count, '1');
    assert.equal((await ask('object', 'store', 'account', 'show')).Containers, '1');
    await refuse(/409|conflict/i, 'container', 'delete', container);
    await tell('object', 'delete', container, object);
    await refuse(/404|not found/i, 'object', 'show', container, object);
    await tell('container', 'delete', container);
  });

  test('deletes all that it made', async () => {
    await tell('router', 'unset', '--external-gateway', strange('router'));
    await tell('router', 'remove', 'subnet', strange('router'), strange('subnet'));
    await tell('router', 'remove', 'subnet', strange('router'), 'subnet-v6');
    await tell('router', 'delete', strange('router'));
    await tell('subnet', 'delete', strange('subnet'), 'subnet-v6');
    await tell('network', 'delete', strange('network'));
    await tell('security', 'group', 'delete', strange('group'));
    await tell('image', 'delete', strange('image'));
    await tell('keypair', 'delete', 'hut key');
    await asAdministrator(async () => {
      await tell('flavor', 'delete', strange('flavor'));
      await tell('user', 'delete', strange('user'));
      await tell('project', 'delete', strange('project'));
      await refuse(/No project|not found|404/i, 'project', 'show', strange('project'));
    });
  });
});
