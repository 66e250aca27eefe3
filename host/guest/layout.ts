/**
 * Which device of a guest is at which PCI address (layouts 1 and 2). Addresses are never given out by QEMU, whose order is the
 * command line's: a card that comes or goes would move what is behind it, and a guest finds its cards by address (enp1s0, ens1).
 *
 *   00:01      video
 *   00:02.0-3  ports of cards, one card each: buses 1 to 4, slots 1 to 4, also where no card is in them: into these one can be plugged
 *   00:03      bridge to the bus of volumes, each at its slot and one: from layout 2 on always, else where there are volumes at a start
 *   00:04      random numbers       00:05  channels (the agent's)    00:06  watchdog    00:07  SCSI    00:08  pointer
 *   00:09-0e   disks, the one that it boots from first, be it a volume      00:0f  config drive
 *   00:10-1e   ports of cards beyond the fourth, which get them at a start
 *
 * A port that is there costs a guest under TCG about 0.2 s of its boot, so there are few of them. They come before all other bridges:
 * the firmware numbers buses in this order, so more ports move no bus. A bridge of conventional PCI costs nothing that can be measured,
 * has a place for every volume, and guests hear by ACPI of what comes there. Pure.
 */

/** Into which a card may be plugged while the guest runs. */
export const hotSlots = 4;

const firstPort = 0x02;
const firstDisk = 0x09;
const morePorts = 0x10;
const portsOfDevice = 8;

const hex = (value: number) => `0x${value.toString(16)}`;

export const addresses = {
  video: ',bus=pcie.0,addr=0x1',
  rng: ',bus=pcie.0,addr=0x4',
  channels: ',bus=pcie.0,addr=0x5',
  watchdog: ',bus=pcie.0,addr=0x6',
  scsi: ',bus=pcie.0,addr=0x7',
  pointer: ',bus=pcie.0,addr=0x8',
  disk: (index: number) => `,bus=pcie.0,addr=${hex(firstDisk + index)}`,
  configDrive: ',bus=pcie.0,addr=0xf',
  card: (slot: number) => `,bus=${portName(slot)}`,
} as const;

export const volumeBus = 'volumes';
/** Layouts that have it whatever volumes there are. */
export const hasVolumeBus = (layout: number): boolean => layout >= 2;
/** Its number must be no card port's. */
export const volumeBridge = (fixed: boolean): string[] => [
  '-device',
  `pci-bridge,id=${volumeBus},chassis_nr=200${fixed ? ',bus=pcie.0,addr=0x3' : ''}`,
];
/** Where on it the volume in this slot is. */
export const volumeAddress = (slot: number): string => hex(slot + 1);

/** Where the firmware and the guest's kernel find the card in this slot; undefined where that hangs on what other cards there are. */
export const cardAddress = (slot: number): string | undefined =>
  slot < hotSlots ? `0000:${String(slot + 1).padStart(2, '0')}:00.0` : undefined;

/** Where the guest's kernel finds the volume in this slot, behind the last bridge of cards that is always there. */
export const volumePciAddress = (slot: number): string =>
  `0000:${String(hotSlots + 1).padStart(2, '0')}:${(slot + 1).toString(16).padStart(2, '0')}.0`;

/** Where the firmware and the guest's kernel find the n-th disk of the host's on virtio, from 0: the one that it boots from. */
export const diskPciAddress = (index: number): string =>
  `0000:00:${(firstDisk + index).toString(16).padStart(2, '0')}.0`;

/** The name of the port of the card in this slot. */
export const portName = (slot: number): string => `card-port${slot}`;

/** The ports of a machine that starts with cards in these slots. */
export function cardPorts(used: readonly number[]): string[] {
  // A guest looks at the other functions of a device only where there is the first one.
  const all = new Set([...Array(hotSlots).keys(), ...used.flatMap((slot) => [slot, slot - placeOf(slot)])]);
  return [...all].sort((a, b) => a - b).flatMap((slot) => ['-device', port(slot)]);
}

const placeOf = (slot: number): number => (slot < hotSlots ? slot : (slot - hotSlots) % portsOfDevice);

function port(slot: number): string {
  const place = placeOf(slot);
  const device = slot < hotSlots ? firstPort : morePorts + Math.floor((slot - hotSlots) / portsOfDevice);
  const address = `addr=${hex(device)}.${hex(place)}${place === 0 ? ',multifunction=on' : ''}`;
  return `pcie-root-port,id=${portName(slot)},bus=pcie.0,${address},chassis=${slot + 1},slot=${slot + 1}`;
}
