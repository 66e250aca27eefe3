/**
 * The watchdog of a simulated machine's lease (host/lease/watchdog.ts) and the signals that it sends: a process of that machine's own, so it goes on when
 * the host process is killed. Nothing of it is on disk.
 */
import type { ServerId } from '../../contract/ids.ts';
import { bootTimeMs } from '../../host/lease/clock.ts';
import type { GuestGuard } from '../../host/lease/guard.ts';
import type { OnLeaseEnd } from '../../host/lease/guarded.ts';
import type { FakeQemu } from './fake-qemu.ts';

export class FakeLeaseGuard implements GuestGuard {
  readonly #guests: () => readonly FakeQemu[];
  readonly #guarded = new Map<ServerId, { pid: number; onLeaseEnd: OnLeaseEnd }>();
  readonly #ended = new Set<ServerId>();
  #endsAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param guests all that run on the machine */
  constructor(guests: () => readonly FakeQemu[]) {
    this.#guests = guests;
  }

  extended(endsAtMs: number): void {
    this.#endsAtMs = endsAtMs;
    this.#look();
  }

  async guard(id: ServerId, pid: number, onLeaseEnd: OnLeaseEnd): Promise<void> {
    this.#ended.delete(id);
    this.#guarded.set(id, { pid, onLeaseEnd });
    this.#look();
  }

  guarded(id: ServerId, pid: number): OnLeaseEnd | undefined {
    const guest = this.#guarded.get(id);
    return guest?.pid === pid ? guest.onLeaseEnd : undefined;
  }

  ended(id: ServerId): boolean {
    return this.#ended.has(id);
  }

  unguard(id: ServerId): void {
    this.#guarded.delete(id);
    this.#ended.delete(id);
  }

  held(pid: number): boolean {
    return this.#process(pid)?.held === true;
  }

  release(pid: number): void {
    const qemu = this.#process(pid);
    if (qemu) qemu.held = false;
  }

  #look(): void {
    clearTimeout(this.#timer);
    const leftMs = this.#endsAtMs - bootTimeMs();
    if (leftMs > 0) {
      this.#timer = setTimeout(() => this.#look(), leftMs).unref();
      return;
    }
    for (const [id, { pid, onLeaseEnd }] of this.#guarded) {
      const qemu = this.#process(pid);
      if (!qemu?.alive) continue;
      if (onLeaseEnd === 'pause') qemu.held = true;
      else {
        this.#ended.add(id);
        qemu.kill();
      }
    }
  }

  #process(pid: number): FakeQemu | undefined {
    return this.#guests().find((qemu) => qemu.pid === pid);
  }
}
