/** Steps of cards that come and go while the guest runs; which is next: ../cards.ts. */
import { QmpError } from '../../../protocols/qmp/index.ts';
import { cardDevice } from '../../guest/hardware.ts';
import { portName } from '../../guest/layout.ts';
import { deviceOf } from '../cards.ts';
import type { CardRecord } from '../record.ts';
import type { ServerTask } from '../task.ts';
import type { StepFunction } from './step.ts';

const netdevOf = ({ slot }: Pick<CardRecord, 'slot'>): string => `net${slot}`;

/** Ids of the devices that the command line and QMP have made. */
export async function devicesOf(task: ServerTask): Promise<ReadonlySet<string>> {
  const found = await task.guest!.execute<{ name: string }[]>('qom-list', { path: '/machine/peripheral' });
  return new Set(found.map(({ name }) => name));
}

/** True where QEMU has done it, false where it refuses: there is no such thing, or it can not be had. */
export async function done(task: ServerTask, command: string, args: Record<string, unknown>): Promise<boolean> {
  try {
    await task.guest!.execute(command, args);
    return true;
  } catch (error) {
    if (error instanceof QmpError) return false;
    throw error;
  }
}

/** After a death on the way the device may be there, or its back end alone: the first is kept, the second made anew. */
export const plugCard: StepFunction<'plug-card'> = async ({ task, desired }, { port, slot }) => {
  const { context, record } = task;
  task.say('plugging a card in');
  if (!record!.ports.includes(port.id)) await task.save({ ports: [...record!.ports, port.id] });
  const { tap, vnetHeader } = await context.network.ensurePort(port, task.user?.uid);
  await context.step('plug-port');
  const card: CardRecord = { id: port.id, slot, mac: port.mac, mtu: port.mtu };
  if (!(await devicesOf(task)).has(deviceOf(card))) {
    const [netdev, driver] = [netdevOf(card), cardDevice(desired.hardware ?? {})];
    await done(task, 'netdev_del', { id: netdev });
    await task.guest!.execute('netdev_add', {
      ...{ type: 'tap', id: netdev, ifname: tap, script: 'no', downscript: 'no', vnet_hdr: vnetHeader },
    });
    await context.step('add-netdev');
    await task.guest!.execute('device_add', {
      ...{ driver, netdev, id: deviceOf(card), mac: port.mac, romfile: '', bus: portName(slot) },
      ...(driver === 'virtio-net-pci' && { host_mtu: port.mtu }),
    });
  }
  await context.step('add-card');
  await task.save({ cards: [...(task.record!.cards ?? []), card] });
  return undefined;
};

/** The port first: from then on nothing passes, whatever the guest does with its card. */
export const unplugCard: StepFunction<'unplug-card'> = async ({ task }, { card }) => {
  const { context } = task;
  task.say('taking a card out');
  await done(task, 'netdev_del', { id: netdevOf(card) });
  await context.step('remove-netdev');
  await context.network.removePort(card.id);
  await context.step('remove-card-port');
  await done(task, 'device_del', { id: deviceOf(card) });
  const cards = task.record!.cards!.map((each) => (each.slot === card.slot ? { ...each, askedAt: Date.now() } : each));
  await task.save({ cards, ports: task.record!.ports.filter((id) => id !== card.id) });
  return undefined;
};

/** QEMU's word that it is gone wakes the task. */
export const awaitCard: StepFunction<'await-card'> = async ({ task }, { ms }) => {
  task.say('waiting for the guest to let go of a card');
  return ms;
};

export const forgetCard: StepFunction<'forget-card'> = async ({ task }, { card }) => {
  await task.save({ cards: task.record!.cards!.filter(({ slot }) => slot !== card.slot) });
  return undefined;
};
