import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseCommandLine, UsageError } from './arguments.ts';
import type { Command } from './command.ts';
import { nearest } from './nearest.ts';
import {
  changedSettings,
  cloudPaths,
  differing,
  loadSettings,
  parseSettings,
  settingNames,
  settingsTemplate,
  unknownVariables,
} from './settings.ts';

const directory = mkdtempSync(join(tmpdir(), 'bothy-settings-'));
after(() => rmSync(directory, { recursive: true, force: true }));

test('defaults, then the file, then the environment', () => {
  writeFileSync(join(directory, 'bothy.conf'), '# mine\nport = 9443\nregion = "Hill"\n');
  const fromFile = loadSettings(directory, {});
  assert.equal(fromFile.values.port, '9443');
  assert.equal(fromFile.values.region, 'Hill');
  assert.equal(fromFile.values.host_port, '8444');
  const { values } = loadSettings(directory, {
    BOTHY_PORT: '10443',
    DATABASE_URL: 'postgres://db/bothy',
    BOTHY_REGION: '',
  });
  assert.equal(values.port, '10443');
  assert.equal(values.database_url, 'postgres://db/bothy');
  assert.equal(values.region, 'Hill', 'an empty variable is one that is not set');
});

test('what a cloud that runs does not go by is told by name, with what makes it', () => {
  const paths = cloudPaths('/srv/cloud');
  assert.deepEqual(differing({ port: '8443' }, {}), [], 'the default said in full is no difference');
  assert.deepEqual(differing({}, { port: '9443', region: 'here' }), ['port', 'region']);
  assert.deepEqual(differing({}, undefined), [], 'a file with a mistake is told elsewhere');
  const told = changedSettings(['port'], paths)!;
  assert.match(told.message, /\/srv\/cloud\/bothy\.conf says port otherwise/);
  assert.match(told.cure, /down --keep-guests --data \/srv\/cloud, then .*up --detach/);
  assert.equal(changedSettings([], paths), undefined);
});

test('an unknown setting is refused with the nearest name', () => {
  assert.throws(() => parseSettings('prot = 1', 'x.conf'), {
    message: /line 1: unknown setting 'prot'/,
    cure: "did you mean 'port'?",
  });
  assert.throws(() => parseSettings('\nport 1', 'x.conf'), {
    message: /line 2: 'port 1' is not of the form key = value/,
  });
});

test('a bad value is refused with where it came from', () => {
  assert.throws(() => loadSettings(directory, { BOTHY_PORT: '99999' }), {
    message: /the environment's BOTHY_PORT is '99999'/,
  });
  assert.throws(() => loadSettings(directory, { BOTHY_ACCELERATOR: 'xen' }), { message: /one of auto, kvm, tcg/ });
});

test('name servers are addresses, with a port or without', () => {
  const servers = (value: string) => loadSettings(directory, { BOTHY_DNS_SERVERS: value }).values.dns_servers;
  assert.equal(servers('192.0.2.53, fd00::53@5353'), '192.0.2.53, fd00::53@5353');
  for (const bad of ['dns.example.org', '192.0.2.53:53', '192.0.2.53@', 'fd00::53@99999'])
    assert.throws(() => servers(bad), { message: /ADDRESS@PORT/ }, bad);
});

test('services of vendor data are told as Nova is told them', () => {
  const services = (value: string) =>
    loadSettings(directory, { BOTHY_VENDOR_DATA_SERVICES: value }).values.vendor_data_services;
  const good = 'join@https://join.example.org/v1?a@b, cloud-init@http://user:word@[fd00::1]:8080/';
  assert.equal(services(good), good);
  for (const bad of [
    'https://x.org',
    '@https://x.org',
    'a@x.org',
    'a@ftp://x.org',
    'static@https://x.org',
    'a@http://x,a@http://y',
  ])
    assert.throws(() => services(bad), { message: /NAME@http\(s\):/ }, bad);
});

test('a variable that nearly is a setting is told', () => {
  assert.deepEqual(unknownVariables({ BOTHY_PROT: '1', BOTHY_TEST_X: '', BOTHY_PORT: '1', PATH: '' }), [
    { variable: 'BOTHY_PROT', guess: 'BOTHY_PORT' },
  ]);
});

test('the file that the first start writes is read back as all defaults and names every setting', () => {
  const template = settingsTemplate();
  assert.deepEqual(parseSettings(template, 'x'), {});
  const uncommented = template.replaceAll(/^#(\w+ =)/gm, '$1');
  assert.deepEqual(Object.keys(parseSettings(uncommented, 'x')), settingNames);
});

test('two ways to one directory are one cloud, and its tag is four hex digits', () => {
  const link = join(directory, 'link');
  symlinkSync(directory, link);
  assert.deepEqual(cloudPaths(link), cloudPaths(directory));
  assert.match(cloudPaths(directory).tag, /^[0-9a-f]{4}$/);
  assert.equal(cloudPaths(join(link, 'not/there')).data, join(cloudPaths(directory).data, 'not/there'));
});

test('the nearest word is found only where it is near', () => {
  const words = ['up', 'down', 'status', 'doctor'];
  assert.equal(nearest('stauts', words), 'status');
  assert.equal(nearest('doc', words), 'doctor');
  assert.equal(nearest('purge', words), undefined);
});

const command: Command = {
  summary: '',
  usage: '',
  description: '',
  options: { data: { type: 'string', help: 'DIRECTORY' }, lines: { type: 'string', short: 'n', help: 'COUNT' } },
  positionals: { min: 0, max: 1 },
  run: async () => 0,
};

test('command lines: options, positionals, counts', () => {
  const args = parseCommandLine('logs', command, ['control', '-n', '5', '--data=/x']);
  assert.deepEqual(args.positionals, ['control']);
  assert.equal(args.count('lines'), 5);
  assert.equal(args.text('data'), '/x');
  for (const wrong of [['--dta', '/x'], ['a', 'b'], ['--data'], ['--help=yes']]) {
    assert.throws(() => parseCommandLine('logs', command, wrong), UsageError, wrong.join(' '));
  }
  assert.throws(() => parseCommandLine('logs', command, ['-n', 'x']).count('lines'), UsageError);
  assert.throws(() => parseCommandLine('logs', command, ['--dta', '/x']), { message: /did you mean '--data'/ });
});
