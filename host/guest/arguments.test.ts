import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ServerId } from '../../contract/ids.ts';
import { serverPaths } from '../paths.ts';
import { type GuestMachine, qemuArguments } from './arguments.ts';
import { type GuestVolume, volumeDeviceId } from './volumes.ts';

const id = '01900000-0000-7000-8000-000000000051' as ServerId;
const paths = serverPaths({ dataDirectory: '/var/lib/bothy/host', runDirectory: '/run/bothy/abcd/host' }, id);
const machine: GuestMachine = {
  id,
  accelerator: 'tcg',
  machine: { type: 'pc-q35-7.2', cpuModel: 'max', layout: 1 },
  vcpus: 2,
  memoryMiB: 256,
  paths,
  disks: [
    {
      name: 'disk',
      path: paths.disk,
      base: { path: '/var/lib/bothy/host/images/01900000-0000-7000-8000-000000000011', format: 'qcow2' },
    },
  ],
  hardware: {},
  volumes: [],
  volumeBus: false,
  begins: 'boot',
  configDrive: true,
  ports: [
    { tap: 'abcdt0000000a1', mac: 'fa:16:3e:00:00:01', mtu: 1442, vnetHeader: false, slot: 0 },
    { tap: 'abcdt0000000a2', mac: 'fa:16:3e:00:00:02', mtu: 1500, vnetHeader: true, slot: 1 },
  ],
};
const golden = new URL('./arguments.golden.json', import.meta.url);

test('the command line is the one that was agreed on', () => {
  const text = `${JSON.stringify(qemuArguments(machine), null, 2)}\n`;
  if (process.env.UPDATE_GOLDEN) writeFileSync(golden, text);
  assert.equal(text, readFileSync(golden, 'utf8'));
});

/** What a guest was given before addresses were fixed it has at every later start. */
const firstLight = new URL('./arguments-layout0.golden.json', import.meta.url);

test('a machine of before addresses were fixed stays as it was', () => {
  const old = { ...machine, machine: { ...machine.machine, layout: 0 } };
  const text = `${JSON.stringify(qemuArguments(old), null, 2)}\n`;
  if (process.env.UPDATE_GOLDEN) writeFileSync(firstLight, text);
  assert.equal(text, readFileSync(firstLight, 'utf8'));
});

const everything = new URL('./arguments-hardware.golden.json', import.meta.url);

test('what image and flavor may ask for is the command line that was agreed on', () => {
  const hardware = {
    ...({
      guestAgent: true,
      diskBus: 'scsi',
      cdromBus: 'sata',
      networkModel: 'e1000e',
      firmware: 'uefi-secure',
    } as const),
    ...({
      tpm: { model: 'tpm-crb', version: '2.0' },
      video: 'vga',
      videoRamMiB: 20,
      rng: { bytes: 10, periodMs: 20 },
    } as const),
    ...({
      watchdog: 'reset',
      bootMenu: true,
      pointer: 'usb',
      pmu: false,
      hidden: true,
      hpet: true,
      clock: 'localtime',
    } as const),
    topology: { sockets: 1, cores: 1, threads: 2 },
  };
  const text = `${JSON.stringify(qemuArguments({ ...machine, hardware }), null, 2)}\n`;
  if (process.env.UPDATE_GOLDEN) writeFileSync(everything, text);
  assert.equal(text, readFileSync(everything, 'utf8'));
});

const withVolumes = new URL('./arguments-layout2.golden.json', import.meta.url);
const volume = (n: number, changes: Partial<GuestVolume> = {}): GuestVolume => ({
  ...{ id: `01900000-0000-7000-8000-0000000000a${n}`, slot: n, bootIndex: null },
  node: {
    driver: 'qcow2',
    'node-name': `l-${n}`,
    file: { driver: 'file', filename: `/pool/${n}.qcow2` },
    backing: null,
  },
  ...changes,
});

test('a machine that boots from a volume, with another one and a bus for more, is the one that was agreed on', () => {
  const layout = { ...machine.machine, layout: 2 };
  const volumes = [volume(0, { bootIndex: 0 }), volume(3)];
  const args = qemuArguments({ ...machine, machine: layout, disks: [], volumes, volumeBus: true });
  const text = `${JSON.stringify(args, null, 2)}\n`;
  if (process.env.UPDATE_GOLDEN) writeFileSync(withVolumes, text);
  assert.equal(text, readFileSync(withVolumes, 'utf8'));
});

test('under TCG a new machine has memory of which QEMU loses no page on the way: not of whole words of its bitmap', () => {
  const sizeOf = (changes: Partial<GuestMachine>) => {
    const args = qemuArguments({ ...machine, memoryMiB: 512, ...changes });
    return args[args.indexOf('-m') + 1];
  };
  const newest = { ...machine.machine, layout: 3 };
  assert.equal(sizeOf({ accelerator: 'tcg', machine: newest }), '524280K');
  assert.equal(sizeOf({ accelerator: 'kvm', machine: newest }), '512M');
  // One that began with all of it goes to hosts that expect all of it, and so does the memory that it was suspended with.
  assert.equal(sizeOf({ accelerator: 'tcg', machine: { ...newest, layout: 2 } }), '512M');
});

const idOf = (n: number) => volumeDeviceId(volume(n).id);

const disksOf = (changes: Partial<GuestMachine>) =>
  qemuArguments({ ...machine, configDrive: false, volumeBus: true, ...changes })
    .filter((each) => /^(virtio-blk-pci|scsi-hd|ide-hd),/.test(each))
    .map((each) => each.replace(/,(werror|rerror|serial)=[^,]+/g, ''));

test('the order in which a machine boots is its own disk, then volumes; a rescue comes before both', () => {
  const [own] = machine.disks;
  const volumes = [volume(1, { bootIndex: 2 }), volume(2, { bootIndex: 1 })];
  assert.deepEqual(disksOf({ volumes }), [
    'virtio-blk-pci,drive=disk,id=disk0,bootindex=0,bus=pcie.0,addr=0x9',
    `virtio-blk-pci,bus=volumes,addr=0x2,drive=l-1,id=${idOf(1)},bootindex=2`,
    `virtio-blk-pci,bus=volumes,addr=0x3,drive=l-2,id=${idOf(2)},bootindex=1`,
  ]);
  const rescue = { ...own!, name: 'rescue', path: paths.rescueDisk };
  assert.deepEqual(disksOf({ disks: [rescue], volumes: [volume(0, { bootIndex: 0 })] }), [
    'virtio-blk-pci,drive=rescue,id=rescue0,bootindex=0,bus=pcie.0,addr=0x9',
    `virtio-blk-pci,bus=pcie.0,addr=0xa,drive=l-0,id=${idOf(0)},bootindex=1`,
  ]);
  const ephemeral = { name: 'ephemeral0', path: '/e.raw', base: null };
  assert.deepEqual(disksOf({ disks: [ephemeral], volumes: [volume(0, { bootIndex: 0 })] }), [
    `virtio-blk-pci,bus=pcie.0,addr=0x9,drive=l-0,id=${idOf(0)},bootindex=0`,
    'virtio-blk-pci,drive=ephemeral0,id=ephemeral00,bus=pcie.0,addr=0xa',
  ]);
});

test('volumes are on the bus of the other disks; one that SATA has no port for is not there', () => {
  const volumes = [1, 2, 3, 4, 5, 6].map((n) => volume(n));
  const sata = disksOf({ volumes, volumeBus: false, hardware: { diskBus: 'sata' } });
  assert.deepEqual(
    sata.map((each) => /bus=(ide\.\d)/.exec(each)?.[1]),
    ['ide.0', 'ide.1', 'ide.2', 'ide.3', 'ide.4'],
  );
  const scsi = disksOf({ volumes: [volume(2)], volumeBus: false, hardware: { diskBus: 'scsi' } });
  assert.equal(scsi[1], `scsi-hd,bus=scsi.0,scsi-id=18,drive=l-2,id=${idOf(2)}`);
});

test('a machine of before there were volumes has its old devices where they were when one comes', () => {
  for (const layout of [0, 1]) {
    const old = { ...machine, machine: { ...machine.machine, layout } };
    const [before, after] = [qemuArguments(old), qemuArguments({ ...old, volumes: [volume(1)], volumeBus: true })];
    assert.deepEqual(after.slice(0, before.length), before);
  }
});

test('a card is where its slot says, whatever others there are', () => {
  const [first, second] = machine.ports;
  const cardsOf = (ports: GuestMachine['ports']) =>
    qemuArguments({ ...machine, ports }).filter((each) => each.startsWith('virtio-net-pci'));
  const [, alone] = cardsOf([first!, second!]);
  assert.deepEqual(cardsOf([second!]), [alone]);
  const far = { ...second!, slot: 13 };
  const ports = qemuArguments({ ...machine, ports: [far] }).filter((each) => each.startsWith('pcie-root-port'));
  assert.deepEqual(
    ports.map((each) => /addr=([^,]+)/.exec(each)![1]),
    ['0x2.0x0', '0x2.0x1', '0x2.0x2', '0x2.0x3', '0x11.0x0', '0x11.0x1'],
  );
});

test('a machine that has lost KVM does not ask for its processor', () => {
  const host = { ...machine, machine: { ...machine.machine, cpuModel: 'host' } };
  assert.ok(qemuArguments(host).includes('max'));
  assert.ok(qemuArguments({ ...host, accelerator: 'kvm' }).includes('host'));
});

test('a comma in a path is no end of a value', () => {
  const odd = { ...machine.paths, qmp: '/run/a,b/qmp.sock' };
  assert.ok(
    qemuArguments({ ...machine, paths: odd }).some((each) => each.includes('path=/run/a,,b/qmp.sock,server=on')),
  );
});

test('a rescued guest boots from the rescue, and its own disk is the second', () => {
  const [own] = machine.disks;
  const args = qemuArguments({ ...machine, disks: [{ ...own!, name: 'rescue', path: paths.rescueDisk }, own!] });
  const devices = args.filter((each) => each.startsWith('virtio-blk-pci,') && each.includes('bootindex'));
  assert.deepEqual(devices, [
    'virtio-blk-pci,drive=rescue,id=rescue0,bootindex=0,bus=pcie.0,addr=0x9',
    'virtio-blk-pci,drive=disk,id=disk0,bootindex=1,bus=pcie.0,addr=0xa',
  ]);
});

test('the sockets of a server fit into a unix socket address', () => {
  for (const path of [paths.serial, paths.memorySocket]) assert.ok(Buffer.byteLength(path) <= 107);
});
