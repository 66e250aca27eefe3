/** Disks that come and go while the machine runs, by QMP, in QEMU 7.2's words. */
import type { BlockGraph } from './block-graph.ts';
import type { MachineDescription } from './command-line.ts';
import { StateRefusal } from './guest.ts';

export interface DiskContext {
  description: MachineDescription;
  blocks: BlockGraph;
}

type Arguments = Readonly<Record<string, unknown>>;

export const diskCommands = {
  'blockdev-add'({ blocks }: DiskContext, args: Arguments) {
    blocks.add(args);
    return {};
  },
  'blockdev-del'({ blocks }: DiskContext, args: Arguments) {
    blocks.remove(String(args['node-name']));
    return {};
  },
  /** All of them, or none. */
  transaction({ blocks }: DiskContext, { actions }: Arguments) {
    for (const { type } of actions as { type: string }[])
      if (type !== 'blockdev-snapshot') throw new StateRefusal(`Parameter 'type' does not accept value '${type}'`);
    blocks.snapshot((actions as { data: { node: string; overlay: string } }[]).map(({ data }) => data));
    return {};
  },
  block_resize({ blocks }: DiskContext, args: Arguments) {
    blocks.resize(String(args['node-name']), Number(args.size));
    return {};
  },
  'query-named-block-nodes': ({ blocks }: DiskContext) => [...blocks.names()].map((name) => ({ 'node-name': name })),
};

/** @throws StateRefusal */
export function addDisk({ description, blocks }: DiskContext, args: Arguments): void {
  const { id, driver, drive, bus, addr, serial } = args as Readonly<Record<string, string>>;
  const node = blocks.find(drive!);
  if (!node) throw new StateRefusal(`Property 'virtio-blk-device.drive' can't find value '${drive}'`);
  if (description.disks.some((disk) => disk.node === node)) throw new StateRefusal(`Node ${drive} is in use`);
  if (!description.pci.isBridge(bus!)) throw new StateRefusal(`Bus '${bus}' not found`);
  if (!description.pci.plugAt(bus!, addr!, id!))
    throw new StateRefusal(
      `PCI: slot ${Number(addr)} function 0 not available for ${driver}, in use by virtio-blk-pci`,
    );
  description.disks.push({ id, node, ...(serial !== undefined && { serial }) });
}
