/**
 * The run state of one QEMU and the guest in it: what the power button, a reset, a pause and the guest's own
 * wishes do, and the events that QEMU 7.2 sends of them. Owns timers, no files and no sockets.
 */

import { randomUUID } from 'node:crypto';

/** QEMU's RunState, as far as the simulator gets there. */
export type RunState =
  | 'prelaunch'
  | 'inmigrate'
  | 'postmigrate'
  | 'finish-migrate'
  | 'running'
  | 'paused'
  | 'shutdown'
  | 'io-error'
  | 'internal-error'
  | 'guest-panicked';

export type ShutdownReason = 'guest-shutdown' | 'guest-panic' | 'host-qmp-quit' | 'host-signal';

export interface GuestBehaviour {
  /** From a start or a reset until the guest listens to its power button and shows its login prompt. */
  bootMs: number;
  /** From the power button to power off; null: it never obeys. */
  shutdownMs: number | null;
  /** It does not let go of a device that shall go. */
  holdsDevices?: boolean;
}

export interface GuestListener {
  event(name: string, data?: Record<string, unknown>): void;
  /** What the guest writes to its serial console. */
  console(text: string): void;
  /** QEMU shall end, as it does without `-action shutdown=pause`. */
  ended(): void;
}

/** An act that this state forbids, with QEMU's words. */
export class StateRefusal extends Error {
  readonly errorClass: string;
  constructor(words: string, errorClass = 'GenericError') {
    super(words);
    this.errorClass = errorClass;
  }
}

export class SimulatedGuest {
  readonly #listener: GuestListener;
  readonly #behaviour: () => GuestBehaviour;
  readonly #onShutdown: 'poweroff' | 'pause';
  readonly #held: (() => void)[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  #state: RunState = 'prelaunch';
  #booted = false;
  #poweringDown = false;
  /** Power buttons pressed, resets, for tests. */
  readonly counts = { powerdown: 0, reset: 0, nmi: 0 };
  /** What is in its memory: a token of its own for each boot. */
  #memory = '';

  constructor(options: {
    listener: GuestListener;
    behaviour: () => GuestBehaviour;
    onShutdown: 'poweroff' | 'pause';
  }) {
    this.#listener = options.listener;
    this.#behaviour = options.behaviour;
    this.#onShutdown = options.onShutdown;
  }

  get state(): RunState {
    return this.#state;
  }

  /** The guest has come up and hears its power button. */
  get booted(): boolean {
    return this.#booted;
  }

  /** What it has in memory: tells one boot from another. */
  get memory(): string {
    return this.#memory;
  }

  // --- from outside ----------------------------------------------------------------------------------------------------

  /** Lets the machine run: at its start, or after a pause. @throws StateRefusal */
  resume(): void {
    switch (this.#state) {
      case 'running':
      case 'inmigrate':
        return;
      case 'shutdown':
      case 'internal-error':
      case 'guest-panicked':
        throw new StateRefusal('Resetting the Virtual Machine is required');
      case 'prelaunch':
        this.#state = 'running';
        this.#listener.event('RESUME');
        this.#boot();
        return;
      default:
        this.#state = 'running';
        this.#listener.event('RESUME');
    }
  }

  pause(): void {
    if (this.#state === 'running') this.#stopIn('paused');
  }

  /** A machine that waits for its memory. */
  await(): void {
    this.#state = 'inmigrate';
  }

  /** The memory of another QEMU's guest, which goes on as it was. */
  load(memory: string): void {
    this.#memory = memory;
    this.#booted = true;
    this.#state = 'paused';
  }

  /** Held until the rest of its memory is sent. @returns whether it ran */
  finishMigrate(): boolean {
    const ran = this.#state === 'running';
    if (ran) this.#stopIn('finish-migrate');
    else this.#state = 'finish-migrate';
    return ran;
  }

  /** Its memory is elsewhere now. */
  saved(): void {
    if (this.#state === 'running') this.#stopIn('postmigrate');
    else this.#state = 'postmigrate';
  }

  /** @throws StateRefusal */
  nmi(): void {
    this.counts.nmi++;
    this.#listener.console('\r\nUhhuh. NMI received\r\n');
  }

  powerButton(): void {
    this.counts.powerdown++;
    this.#listener.event('POWERDOWN');
    const { shutdownMs } = this.#behaviour();
    if (this.#state !== 'running' || !this.#booted || shutdownMs === null || this.#poweringDown) return;
    this.#poweringDown = true;
    this.#after(shutdownMs, () => this.powerOff());
  }

  reset(): void {
    this.#reset({ guest: false, reason: 'host-qmp-system-reset' });
    // A machine that did not run waits for `cont` after a reset.
    if (this.#state === 'running') this.#boot();
    else this.#state = 'prelaunch';
  }

  /** A device shall go: now where the guest obeys, else at its next reset. */
  letGo(gone: () => void): void {
    if (this.#state === 'running' && this.#booted && !this.#behaviour().holdsDevices) this.#after(0, gone);
    else this.#held.push(gone);
  }

  /** Nothing happens any more. */
  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  // --- by the guest ----------------------------------------------------------------------------------------------------

  /** The guest switches itself off. */
  powerOff(): void {
    if (this.#state !== 'running') return;
    this.#listener.console('\r\nreboot: Power down\r\n');
    this.#listener.event('SHUTDOWN', { guest: true, reason: 'guest-shutdown' satisfies ShutdownReason });
    this.#quiet();
    if (this.#onShutdown === 'pause') this.#stopIn('shutdown');
    else this.#listener.ended();
  }

  /** The guest starts itself again. */
  reboot(): void {
    if (this.#state !== 'running') return;
    this.#reset({ guest: true, reason: 'guest-reset' });
    this.#boot();
  }

  panic(): void {
    if (this.#state !== 'running') return;
    this.#listener.console('\r\nKernel panic - not syncing\r\n');
    this.#listener.event('GUEST_PANICKED', { action: 'pause' });
    this.#quiet();
    this.#stopIn('guest-panicked');
  }

  /** The disk of the host is full or fails. `cont` lets the guest try again. */
  diskError(node: string): void {
    if (this.#state !== 'running') return;
    const data = { device: '', 'node-name': node, nospace: true, operation: 'write', action: 'stop' };
    this.#listener.event('BLOCK_IO_ERROR', { ...data, reason: 'No space left on device' });
    this.#stopIn('io-error');
  }

  // --- within ----------------------------------------------------------------------------------------------------------

  #boot(): void {
    this.#memory = randomUUID();
    this.#listener.console('simulated guest: booting\r\n');
    const up = () => {
      this.#booted = true;
      this.#listener.console('\r\nsimulated login: ');
    };
    const { bootMs } = this.#behaviour();
    if (bootMs === 0) up();
    else this.#after(bootMs, up);
  }

  #reset(data: { guest: boolean; reason: string }): void {
    this.counts.reset++;
    this.#quiet();
    this.#listener.event('RESET', data);
    for (const gone of this.#held.splice(0)) gone();
  }

  #quiet(): void {
    this.end();
    this.#booted = false;
    this.#poweringDown = false;
  }

  #stopIn(state: RunState): void {
    this.#state = state;
    this.#listener.event('STOP');
  }

  #after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#state === 'running') work();
      // A paused guest gets on with it when it runs again.
      else if (this.#state === 'paused' || this.#state === 'io-error') this.#after(Math.max(ms, 10), work);
    }, ms);
    timer.unref();
    this.#timers.add(timer);
  }
}
