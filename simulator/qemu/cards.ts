/**
 * Cards and disks that come and go while the machine runs, by QMP, in QEMU 7.2's words. One that shall go is gone when the guest lets go of it,
 * or at a reset; a guest that does not hears of it again with each request, and QEMU says nothing.
 */
import type { Release } from './claims.ts';
import { addDisk, type DiskContext } from './disks.ts';
import { type SimulatedGuest, StateRefusal } from './guest.ts';

export interface CardContext extends DiskContext {
  guest: SimulatedGuest;
  event(name: string, data: Record<string, unknown>): void;
  /** @throws QemuRefusal */
  claimTap(tap: string): Release;
}

type Arguments = Readonly<Record<string, unknown>>;

const refuse = (words: string): never => {
  throw new StateRefusal(words);
};

export const cardCommands = {
  'qom-list'({ description }: CardContext, { path }: Arguments) {
    const type = { name: 'type', type: 'string' };
    if (path === '/objects') {
      const objects = [...description.objects, ['pc.ram', 'memory-backend-ram']];
      return [type, ...objects.map(([name, kind]) => ({ name, type: `child<${kind}>` }))];
    }
    if (path !== '/machine/peripheral') return refuse(`Device '${path}' not found`);
    const ids = [...description.disks, ...description.cards].flatMap(({ id }) => (id === undefined ? [] : [id]));
    ids.push(...description.controllers);
    return [type, ...ids.map((name) => ({ name, type: 'child<device>' }))];
  },
  netdev_add(context: CardContext, { id, type, ifname, vnet_hdr }: Arguments) {
    const { taps } = context.description;
    if (type !== 'tap') return refuse(`Parameter 'type' does not accept value '${type}'`);
    if (taps.has(String(id))) return refuse(`Duplicate ID '${id}' for netdev`);
    const release = context.claimTap(String(ifname));
    taps.set(String(id), { tap: String(ifname), vnetHeader: vnet_hdr === true, release });
    return {};
  },
  netdev_del({ description: { taps } }: CardContext, { id }: Arguments) {
    const found = taps.get(String(id));
    if (!found) return refuse(`Device '${id}' not found`);
    found.release?.();
    taps.delete(String(id));
    return {};
  },
  device_add(context: CardContext, args: Arguments) {
    const { description } = context;
    const known = [...description.cards, ...description.disks].some(({ id }) => id === args.id);
    if (known) return refuse(`Duplicate device ID '${args.id}'`);
    if (args.driver === 'virtio-blk-pci') {
      addDisk(context, args);
      return {};
    }
    const {
      id,
      driver,
      netdev,
      bus,
      mac,
      host_mtu: mtu = 1500,
    } = args as Record<string, string> & { host_mtu?: number };
    if (!description.pci.isPort(bus!)) return refuse(`Bus '${bus}' not found`);
    const tap = description.taps.get(netdev!);
    if (!tap) return refuse(`Property '${driver}.netdev' can't find value '${netdev}'`);
    if (!description.pci.plug(bus!, id!))
      return refuse(
        `PCI: slot 0 function 0 already occupied by ${driver}, new func ${driver} cannot be exposed to guest.`,
      );
    description.cards.push({ id, tap: tap.tap, mac: mac!, mtu, vnetHeader: tap.vnetHeader });
    return {};
  },
  device_del({ description, guest, event }: CardContext, { id }: Arguments) {
    const of = [description.cards, description.disks].find((devices) => devices.some((device) => device.id === id));
    if (!of) return refuse(`Device '${id}' not found`);
    guest.letGo(() => {
      const at = of.findIndex((device) => device.id === id);
      if (at < 0) return;
      of.splice(at, 1);
      description.pci.release(String(id));
      event('DEVICE_DELETED', { device: id, path: `/machine/peripheral/${id}` });
    });
    return {};
  },
};
