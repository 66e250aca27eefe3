/** The command line that the host builds is understood; every way to get it wrong is refused, in QEMU's words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId, type ServerId } from '../../contract/ids.ts';
import { qemuArguments } from '../../host/guest/arguments.ts';
import { serverPaths } from '../../host/paths.ts';
import { parseCommandLine } from './command-line.ts';

const id = newId<ServerId>();
const paths = serverPaths({ dataDirectory: '/d,ata "小屋"', runDirectory: '/r,un' }, id);
const good = qemuArguments({
  ...{
    id,
    accelerator: 'kvm',
    vcpus: 4,
    memoryMiB: 2048,
    paths,
    configDrive: true,
    hardware: { guestAgent: true },
    volumes: [],
    volumeBus: false,
    begins: 'boot',
  },
  machine: { type: 'pc-q35-7.2', cpuModel: 'host', layout: 1 },
  disks: [{ name: 'disk', path: paths.disk, base: { path: '/images/base', format: 'qcow2' } }],
  ports: [
    { tap: 'ab12t000000001', mac: 'fa:16:3e:00:00:01', mtu: 1442, vnetHeader: true, slot: 0 },
    { tap: 'ab12t000000002', mac: 'fa:16:3e:00:00:02', mtu: 9000, vnetHeader: false, slot: 1 },
  ],
});

test("the host's own command line is understood, commas and all", () => {
  const machine = parseCommandLine(good);
  assert.deepEqual(
    {
      ...machine,
      pci: undefined,
      taps: undefined,
      nodes: undefined,
      disks: machine.disks.map(({ id, node }) => [id, node.name, node.driver, node.readOnly]),
    },
    {
      accelerator: 'kvm',
      vcpus: 4,
      memoryMiB: 2048,
      uuid: id,
      name: id,
      pidFile: paths.pid,
      onShutdown: 'pause',
      heldAtStart: false,
      incoming: undefined,
      sockets: [
        { id: 'qmp', path: paths.qmp, logFile: undefined },
        { id: 'serial', path: paths.serial, logFile: paths.consoleLog },
        { id: 'agent', path: paths.agent, logFile: undefined },
      ],
      agent: { id: 'agent', path: paths.agent, logFile: undefined },
      monitor: { id: 'qmp', path: paths.qmp, logFile: undefined },
      vnc: { id: 'vnc', path: paths.vnc, logFile: undefined },
      serial: { id: 'serial', path: paths.serial, logFile: paths.consoleLog },
      disks: [
        ['disk0', 'disk', 'qcow2', false],
        ['config-drive0', 'config-drive', 'raw', true],
      ],
      cards: [
        { id: 'nic0', tap: 'ab12t000000001', vnetHeader: true, mac: 'fa:16:3e:00:00:01', mtu: 1442 },
        { id: 'nic1', tap: 'ab12t000000002', vnetHeader: false, mac: 'fa:16:3e:00:00:02', mtu: 9000 },
      ],
      files: ['/dev/urandom'],
      objects: new Map([['rng', 'rng-random']]),
      controllers: [],
      pci: undefined,
      taps: undefined,
      nodes: undefined,
    },
  );
});

/** The good command line with one value changed, or options added. */
const replaced = (from: string, to: string) => {
  assert.ok(
    good.some((word) => word.includes(from)),
    from,
  );
  return good.map((word) => word.replace(from, to));
};
const without = (option: string) => good.toSpliced(good.indexOf(option), 2);

const wrong: [why: string, args: string[], words: RegExp][] = [
  ['an option that QEMU does not have', [...good, '-foo'], /-foo: invalid option$/],
  ['a word that is no option', ['disk.img'], /Could not open 'disk\.img'/],
  ['an option without its value', [...good, '-rtc'], /-rtc: (requires an argument|given twice)/],
  ['an option given twice', [...good, '-uuid', id], /-uuid: given twice/],
  ['a card where another is', replaced('bus=card-port1', 'bus=card-port0'), /PCI: slot 0 function 0 not available/],
  ['a device on a bus that is not there', replaced('bus=card-port1', 'bus=card-port9'), /Bus 'card-port9' not found/],
  ['another machine', replaced('q35', 'q36'), /unsupported machine type/],
  [
    'a machine property that is not there',
    replaced('hpet=off', 'hpets=off'),
    /Property 'pc-q35-7\.2-machine\.hpets' not found/,
  ],
  ['a flag that is neither on nor off', replaced('usb=off', 'usb=no'), /does not accept value 'no'/],
  ['an accelerator that is not there', replaced('kvm', 'xen'), /does not accept value 'xen'/],
  ['a CPU that only KVM has', replaced('kvm', 'tcg'), /CPU model 'host' requires KVM/],
  ['no processors', replaced('4', '0').with(good.indexOf('-smp') + 1, '0'), /expects a number/],
  ['memory without a size', replaced('2048M', 'muchM'), /Parameter 'size'/],
  ['an uuid that is none', good.with(good.indexOf('-uuid') + 1, 'zz'), /failed to parse UUID string/],
  ['a sandbox rule that is not there', replaced('spawn=deny', 'spawns=deny'), /Invalid parameter 'spawns'/],
  ['an action that is not there', replaced('shutdown=pause', 'shutdown=rest'), /does not accept value 'rest'/],
  ['a monitor on a socket that is not there', replaced('chardev=qmp', 'chardev=qmq'), /chardev "qmq" not found/],
  ['a serial port on a socket that is not there', replaced('chardev:serial', 'chardev:x'), /could not connect serial/],
  ['a socket path that is too long', replaced('qmp.sock', 'q'.repeat(100)), /is too long/],
  ['a socket that QEMU would wait at', replaced('wait=off', 'wait=on'), /does not wait/],
  ['a comma in a path that is not doubled', replaced('/r,,un', '/r,un'), /Expected '=' after parameter/],
  ['a console log that would be cut', replaced('logappend=on', 'logappend=off'), /only appends/],
  ['a random device without its object', without('-object'), /Device 'rng' not found/],
  [
    'a disk that is not there',
    replaced('drive=disk', 'drive=disc'),
    /Property 'virtio-blk-device\.drive' can't find value 'disc'/,
  ],
  ['a disk given to two devices', replaced('drive=config-drive', 'drive=disk'), /can't find value 'disk'/],
  [
    'a device property that is not there',
    replaced('bootindex', 'bootidx'),
    /Property 'virtio-blk-pci\.bootidx' not found/,
  ],
  ['a device that is not there', replaced('virtio-net-pci', 'virtio-net'), /is not a valid device model name/],
  ['two devices with one name', replaced('id=nic1', 'id=nic0'), /Duplicate ID 'nic0' for device/],
  ['two back ends with one name', replaced('id=net1', 'id=net0'), /Duplicate ID 'net0' for netdev/],
  ['a card without a back end', replaced('netdev=net1', 'netdev=net7'), /can't find value 'net7'/],
  ['a MAC that is none', replaced('mac=fa:16', 'mac=fb:16'), /doesn't take value 'fb:16/],
  ['a tap with a script', replaced('script=no', 'script=/etc/up'), /does not accept value/],
  ['a tap whose name is too long', replaced('ifname=ab12t', 'ifname=ab12ttt'), /Invalid argument/],
  ['an MTU that no card has', replaced('host_mtu=9000', 'host_mtu=90000'), /expects a number/],
  ['a block device that is no JSON', replaced('{"driver":"raw"', '{"driver":"raw'), /JSON parse error/],
  ['a block driver that is not there', replaced('"driver":"raw"', '"driver":"vmdk"'), /Unknown driver 'vmdk'/],
  [
    'a block option that is not there',
    replaced('"discard":"unmap","file"', '"discards":1,"file"'),
    /Parameter 'discards' is unexpected/,
  ],
  [
    'a block option with a value that it does not take',
    replaced('"overlap-check":"constant"', '"overlap-check":"some"'),
    /Parameter 'overlap-check' does not accept value 'some'/,
  ],
  ['a block node without a name', replaced('"node-name":"config-drive",', ''), /'node-name' must be specified/],
  [
    'two block nodes with one name',
    replaced('"node-name":"config-drive"', '"node-name":"base"'),
    /Duplicate nodes with node-name='base'/,
  ],
];

for (const [why, args, words] of wrong) {
  test(`refused: ${why}`, () => {
    assert.throws(
      () => parseCommandLine(args),
      (error: Error) => error.name === 'QemuRefusal' && words.test(error.message),
    );
  });
}
