/** PCI addresses of a machine: devices are on buses that are there, and no two at one place. QEMU's words (hw/pci/pci.c). */
import type { KeyValues } from './key-values.ts';

export class PciAddresses {
  readonly #ports = new Set<string>();
  /** Buses behind bridges, with more than one place. */
  readonly #bridges = new Set<string>();
  /** Who is where. */
  readonly #taken = new Map<string, string>();

  /** A port with one place, into which devices may be plugged while the machine runs. */
  addPort(id: string): void {
    this.#ports.add(id);
  }

  isPort(bus: string): boolean {
    return this.#ports.has(bus);
  }

  addBridge(id: string): void {
    this.#bridges.add(id);
  }

  isBridge(bus: string): boolean {
    return this.#bridges.has(bus);
  }

  /** @throws QemuRefusal */
  take(list: KeyValues, device: string): void {
    const bus = list.optional('bus');
    if (bus === undefined) return;
    const port = this.#ports.has(bus);
    if (!port && bus !== 'pcie.0' && !this.#bridges.has(bus)) throw list.refusal(`Bus '${bus}' not found`);
    const address = port ? '' : list.optional('addr');
    // Where none is named QEMU finds a free one.
    if (address === undefined) return;
    const [slot = 0, place = 0] = address.split('.').map(Number);
    const key = `${bus} ${slot}.${place}`;
    const before = this.#taken.get(key);
    if (before !== undefined) {
      const model = list.required('driver');
      throw list.refusal(
        `PCI: slot ${slot} function ${place} not available for ${model}, in use by ${before},id=${before}`,
      );
    }
    this.#taken.set(key, device);
  }

  /** False where another is in the port. */
  plug(port: string, device: string): boolean {
    const key = `${port} 0.0`;
    if (this.#taken.has(key)) return false;
    this.#taken.set(key, device);
    return true;
  }

  /** False where another is at this place of the bus. */
  plugAt(bus: string, address: string, device: string): boolean {
    const key = `${bus} ${Number(address)}.0`;
    if (this.#taken.has(key)) return false;
    this.#taken.set(key, device);
    return true;
  }

  /** The device is gone. */
  release(device: string): void {
    for (const [key, holder] of this.#taken) if (holder === device) this.#taken.delete(key);
  }
}
