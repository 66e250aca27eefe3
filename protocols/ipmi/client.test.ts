/** IPMI 2.0 with the simulator of OpenIPMI, and with an ipmitool that says what it should not. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { Secret } from '../../contract/secret.ts';
import { IpmiSimulator, noIpmi } from '../../test/support/ipmi-simulator.ts';
import { type BmcErrorKind, swapped } from '../bmc/index.ts';
import { Ipmi, type IpmiOptions } from './index.ts';

const uuid = '4c4c4544-0042-3510-8051-b4c04f4e3732';
const user = 'bothy';
const password = 'another-secret';
const directory = mkdtempSync(join(tmpdir(), 'bothy-ipmitool-'));
after(() => rmSync(directory, { recursive: true }));

/** A program in the place of ipmitool. */
function program(name: string, script: string): string {
  const file = join(directory, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}
const told = (text: string, status = 0, error = '') =>
  program('told', `cat <<'END'\n${text}\nEND\ncat >&2 <<'END'\n${error}\nEND\nexit ${status}`);

describe('a machine behind IPMI', { skip: noIpmi }, () => {
  let bmc: IpmiSimulator;
  before(async () => {
    bmc = await IpmiSimulator.start({ user, password, guid: swapped(uuid).replaceAll('-', '') });
  });
  after(() => bmc?.[Symbol.asyncDispose]());
  afterEach(() => {
    bmc.power = true;
  });
  const opened = (over: Partial<IpmiOptions> = {}) =>
    new Ipmi({
      ...{ host: '127.0.0.1', port: bmc.port, user, password: new Secret(password), timeoutMs: 15_000, ...over },
    });

  test('it says who it is, is turned off, on, and asked to shut down', async () => {
    const ipmi = opened();
    const { uuid: said, otherUuids, askedAt: _, ...rest } = await ipmi.system();
    assert.deepEqual(rest, { path: 'chassis', power: 'on', label: 'Contoso 3500 437XR1138R2' });
    assert.equal(said, uuid);
    assert.ok(otherUuids.includes(swapped(uuid)));
    assert.equal(await ipmi.reset('ForceOff'), 'Chassis Power Control: Down/Off');
    assert.equal((await ipmi.system()).power, 'off');
    assert.equal(await ipmi.reset('On'), 'Chassis Power Control: Up/On');
    assert.equal((await ipmi.system()).power, 'on');
    assert.equal(await ipmi.reset('GracefulShutdown'), 'Chassis Power Control: Soft');
    assert.equal((await ipmi.system()).power, 'on', 'that it was asked says nothing');
    assert.deepEqual(bmc.asked, ['power 0', 'power 1', 'shutdown 1']);
    assert.equal((await ipmi.system()).label, 'Contoso 3500 437XR1138R2');
    assert.equal(await ipmi.watts(), undefined, 'it measures none');
  });

  test('one without a number of its own, and without names, says none', async () => {
    await using other = await IpmiSimulator.start({ user, password, guid: '00'.repeat(16), named: false });
    const { uuid: said, label, power } = await opened({ port: other.port }).system();
    assert.deepEqual([said, label, power], [null, '', 'on']);
  });

  test('the password is in no argument', async () => {
    const file = join(directory, 'arguments');
    const ipmi = opened({ program: program('recording', `echo "$@" >>${file}; exec ipmitool "$@"`) });
    await ipmi.system();
    await ipmi.reset('On');
    const recorded = readFileSync(file, 'utf8');
    assert.match(recorded, /-U bothy -E/);
    assert.doesNotMatch(recorded, /another-secret/);
  });

  test('who may not is told so, and not that nobody answers', async () => {
    for (const wrong of [{ password: new Secret('another') }, { user: 'nobody' }]) {
      await assert.rejects(opened(wrong).system(), { kind: 'denied' });
      await assert.rejects(opened(wrong).reset('ForceOff'), { kind: 'denied' });
    }
  });

  test('where nobody answers it is said so in time', async () => {
    const began = performance.now();
    const away = opened({ host: '127.0.0.2', timeoutMs: 300 });
    await assert.rejects(away.system(), { kind: 'unreachable' });
    await assert.rejects(away.reset('ForceOff', { withinMs: 100 }), { kind: 'unreachable' });
    assert.ok(performance.now() - began < 10_000);
    await assert.rejects(opened({ host: 'no-such-name.invalid' }).system(), { kind: 'unreachable' });
  });
});

const guid = ` ${(swapped(uuid).replaceAll('-', '').match(/../g) ?? []).join(' ')}`;

const faked = (name: string) =>
  new Ipmi({
    ...{ host: '127.0.0.1', port: 623, user, password: new Secret(password), timeoutMs: 10_000, program: name },
  });

test('an address at which another machine answers than a moment ago says nothing of either', async () => {
  const other = guid.replace(' 32', ' 33');
  const both = `case "$*" in *look-closely) echo '${guid}' ;; *) echo '${other}' ;; esac; echo 'Chassis Power is off'`;
  await assert.rejects(faked(program('two', both)).system(), { kind: 'ambiguous' });
});

test('one that tells no number, or has no names, is of use all the same', async () => {
  const refused = 'Unable to send RAW command (channel=0x0 netfn=0x6 lun=0x0 cmd=0x37 rsp=0xc1): Invalid command';
  const { power, uuid: said, label } = await faked(told('Chassis Power is off', 1, refused)).system();
  assert.deepEqual([power, said, label], ['off', null, '']);
  const cut = refused.replace(' rsp=0xc1', '');
  await assert.rejects(faked(told('Chassis Power is off', 1, cut)).system(), { kind: 'refused' });
});

test('where there is no ipmitool it is said so', async () => {
  await assert.rejects(faked(join(directory, 'nothing')).system(), { kind: 'not_installed', message: /there is no/ });
});

test('watts are what DCMI measures, while it does', async () => {
  const reading = (state: string) => `
    Instantaneous power reading:                   220 Watts
    Minimum during sampling period:                 13 Watts
    Maximum during sampling period:                290 Watts
    Average power reading over sample period:      220 Watts
    IPMI timestamp:                           Mon Nov 30 14:00:00 2026
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   ${state}
`;
  assert.equal(await faked(told(reading('activated'))).watts(), 220);
  assert.equal(await faked(told(reading('deactivated'))).watts(), undefined);
});

const hostile: [string, string, BmcErrorKind | 'on'][] = [
  ['no word of power', guid, 'malformed'],
  ['a word that is not quite one', `${guid}\nChassis Power is offline`, 'malformed'],
  ['two words of power', `${guid}\n Product Name : x\nChassis Power is off\nChassis Power is on`, 'malformed'],
  ['power that is not said last', `${guid}\nChassis Power is off\n Product Name : x`, 'malformed'],
  ['two numbers', `${guid}\n${guid}\nChassis Power is on`, 'malformed'],
  ['a number in a name', ` Product Name : x\n${guid}\nChassis Power is on`, 'on'],
];
for (const [what, text, expected] of hostile) {
  test(`of what ipmitool says nothing is believed that is not as it should be: ${what}`, async () => {
    const ipmi = faked(told(text));
    if (expected !== 'on') return assert.rejects(ipmi.system(), { kind: expected });
    const { power, uuid: said } = await ipmi.system();
    assert.deepEqual([power, said], ['on', null]);
  });
}

test('one that says no end is ended, and one that fails is not believed', async () => {
  await assert.rejects(faked(program('endless', 'yes')).system(), { kind: 'malformed' });
  await assert.rejects(faked(told(`${guid}\nChassis Power is off`, 1, 'Close Session command failed')).system(), {
    kind: 'refused',
  });
  const notNow = 'Set Chassis Power Control to Soft failed: Command not supported in present state';
  await assert.rejects(faked(told('', 1, notNow)).reset('GracefulShutdown'), { kind: 'refused', message: notNow });
  for (const denied of [
    'Set Session Privilege Level to OPERATOR failed',
    `Set Chassis Power Control to Down/Off failed: Insufficient privilege level`,
  ])
    await assert.rejects(
      faked(told('', 1, `Invalid completion code received: Insufficient privilege level\n${denied}`)).reset('ForceOff'),
      { kind: 'denied', message: denied },
    );
  await assert.rejects(faked(told('')).reset('ForceOff'), { kind: 'malformed' });
});
