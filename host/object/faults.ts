/** What reads and the scrub have found damaged, until control has seen to it. In memory: what is forgotten is found again. */
import type { BlobFaults } from '../../contract/host/index.ts';
import { objectLimits } from '../../contract/host/index.ts';
import type { ObjectIntentId } from '../../contract/ids.ts';

export type Fault = BlobFaults['faults'][number];

export class Faults {
  /** By disk, then by file of an intent. */
  readonly #found = new Map<string, Map<string, Fault[]>>();

  /** True where it is news. */
  add(disk: string, fault: Fault): boolean {
    const files = this.#found.get(disk) ?? new Map<string, Fault[]>();
    this.#found.set(disk, files);
    const key = keyOf(fault.intent, fault.file);
    const known = files.get(key) ?? [];
    if (
      known.some(
        ({ offset, length, kind }) =>
          kind === fault.kind && offset <= fault.offset && fault.offset + fault.length <= offset + length,
      )
    )
      return false;
    if (!files.has(key) && files.size >= objectLimits.faults) return false;
    files.set(key, [...known, fault].slice(-100));
    return true;
  }

  of(disk: string): Fault[] {
    return [...(this.#found.get(disk)?.values() ?? [])].flat().slice(0, objectLimits.faults);
  }

  /** Files. */
  count(disk: string): number {
    return this.#found.get(disk)?.size ?? 0;
  }

  forget(disk: string, intent: ObjectIntentId, file: string): void {
    this.#found.get(disk)?.delete(keyOf(intent, file));
  }
}

const keyOf = (intent: string, file: string) => `${intent}/${file}`;
