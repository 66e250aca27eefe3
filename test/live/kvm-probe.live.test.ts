import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { chooseAccelerator, type ProbeOptions } from '../../host/guest/kvm-probe.ts';
import { probeDisk, probeDone } from '../../host/guest/probe-guest.ts';

const skip = !existsSync('/usr/bin/qemu-system-x86_64');

function options(t: TestContext, changes: Partial<ProbeOptions> = {}): ProbeOptions {
  const directory = mkdtempSync(join(tmpdir(), 'probe-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return {
    wish: 'auto',
    user: undefined,
    cacheFile: join(directory, 'accelerator.json'),
    runDirectory: directory,
    bootId: 'b',
    qemuVersion: '7.2',
    timeoutMs: 4000,
    ...changes,
  };
}

test('the probe guest runs to its end where guests run: under the emulator', { skip, timeout: 60_000 }, (t) => {
  const { runDirectory } = options(t);
  const [disk, serial] = [join(runDirectory, 'disk'), join(runDirectory, 'serial')];
  writeFileSync(disk, probeDisk());
  const args = ['-M', 'q35', '-accel', 'tcg', '-m', '64', '-nodefaults', '-no-user-config', '-display', 'none'];
  args.push('-device', 'isa-debug-exit,iobase=0x501,iosize=1', '-serial', `file:${serial}`);
  args.push('-blockdev', `driver=raw,node-name=disk,read-only=on,file.driver=file,file.filename=${disk}`);
  args.push('-device', 'virtio-blk-pci,drive=disk,bootindex=0');
  const started = performance.now();
  // isa-debug-exit ends QEMU with status 2 × value + 1.
  assert.throws(() => execFileSync('qemu-system-x86_64', args, { timeout: 30_000 }), { status: 67 });
  t.diagnostic(`took ${Math.round(performance.now() - started)} ms`);
  assert.ok(readFileSync(serial, 'utf8').includes(probeDone));
});

test('a verdict is reached in time, gives its reason, and is kept for this boot and QEMU', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const asked = options(t);
  const started = performance.now();
  const verdict = await chooseAccelerator(asked);
  const tookMs = performance.now() - started;
  t.diagnostic(`${verdict.accelerator} after ${Math.round(tookMs)} ms: ${verdict.reason}`);
  assert.ok(tookMs < 10_000);
  assert.equal(verdict.accelerator === 'kvm', verdict.reason === '');
  const again = performance.now();
  assert.deepEqual(await chooseAccelerator(asked), verdict);
  assert.ok(performance.now() - again < 100);
  assert.match(readFileSync(asked.cacheFile, 'utf8'), /"b 7\.2 self"/);
});

test('a machine without KVM, and a wish for the emulator, need no guest', async (t) => {
  const none = await chooseAccelerator(options(t, { device: '/nonexistent/kvm' }));
  assert.deepEqual(none, { accelerator: 'tcg', reason: 'this machine has no /nonexistent/kvm' });
  assert.equal((await chooseAccelerator(options(t, { wish: 'tcg' }))).accelerator, 'tcg');
  const wished = await chooseAccelerator(options(t, { wish: 'kvm', device: '/nonexistent/kvm' }));
  assert.match(wished.reason, /the settings ask for KVM, but/);
});
