/**
 * One server on this host, driven to its desired state. Owns the server's record and its Guest; the steps
 * themselves are in steps/, when each is done is ../step-loop.ts.
 */
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import type { ImageId, LayerId, ServerId, VolumeId } from '../../contract/ids.ts';
import type { Execute } from '../../protocols/qmp/index.ts';
import type { Guest } from '../guest/guest.ts';
import type { QemuProcess } from '../guest/launcher.ts';
import type { GuestUser } from '../guest/users.ts';
import { HostFault } from '../host-error.ts';
import { deletedMeanwhile } from '../image/deletions.ts';
import { type ServerPaths, serverPaths } from '../paths.ts';
import { ProcessDied, StepLoop, Superseded } from '../step-loop.ts';
import type { ServerContext } from './context.ts';
import { forgetMirrors, hasCopies, type KnownCopies, watchCopiesMs } from './copies.ts';
import { decide, type ServerFacts, type Step } from './decide.ts';
import { look } from './look.ts';
import { observedServer, type Sending } from './observe.ts';
import { closeToOthers } from './ownership.ts';
import { knownPassword, readRecord, type ServerRecord, undone, type VolumeRecord, writeRecord } from './record.ts';
import { perform } from './steps/index.ts';
import { newGuest } from './steps/new-guest.ts';

export interface TaskOwner {
  desired(id: ServerId): DesiredServer | undefined;
  /** Nothing that can be read is known of what shall be of the server: it stays as it is. */
  held(id: ServerId): boolean;
  /** The server's observation may have changed. */
  observed(task: ServerTask): void;
  /** A hook killed this host. */
  died(): void;
}

/** What is known of a guest whose QEMU answers. */
export interface RunningGuest {
  guest: Guest;
  desired: DesiredServer;
  /** The channel to its agent, where it has one, and its consoles. */
  sockets: Pick<ServerPaths, 'agent' | 'serial' | 'vnc'>;
}

/** Of a document what gives one that was given up another chance, also within a generation. */
const whatFails = (desired: DesiredServer | undefined): string =>
  JSON.stringify([desired?.image, desired?.incoming, desired?.outgoing]);

export class ServerTask {
  readonly id: ServerId;
  readonly paths: ServerPaths;
  readonly context: ServerContext;
  readonly #owner: TaskOwner;
  record: ServerRecord | undefined;
  guest: Guest | undefined;
  /** Taps that are ready for the next launch, made while the disk was. */
  plugging: Promise<{ tap: string; vnetHeader: boolean }[]> | undefined;
  /** Since when, and until when, a guest has been asked to end. */
  powerdown: { deadlineMs: number; nextPressMs: number } | undefined;
  /** When this process last asked the guest for a volume. */
  readonly askedFor = new Map<VolumeId, number>();
  /** When a volume that its QEMU says it has closed was last seen to be open there. */
  readonly keptOpen = new Map<VolumeId, number>();
  /** For want of room to write to these its guest stands still. */
  full: ReadonlySet<VolumeId> = new Set();
  readonly copies: KnownCopies = { seen: new Map(), progress: new Map(), left: new Set() };
  /** What this process knows of its way to another host. */
  sending: Sending = {};
  /** Asks its QEMU. @throws HostFault where there is none */
  readonly execute: Execute = async (command, args) => {
    if (!this.guest) throw new HostFault('guest_silent', 'QEMU does not run');
    return this.guest.execute(command, args);
  };
  /** Without it no step can be done now. */
  awaitedLayer: LayerId | undefined;
  #loaded = false;
  readonly #loop: StepLoop<DesiredServer | undefined>;
  #saving: Promise<void> = Promise.resolve();
  #interrupt = new AbortController();
  #seen: DesiredServer | undefined;
  #observed: ObservedServer | undefined;
  #pending: string | null = null;
  #unclaimed = false;

  constructor(id: ServerId, context: ServerContext, owner: TaskOwner) {
    this.id = id;
    this.context = context;
    this.#owner = owner;
    this.paths = serverPaths(context, id);
    const { log, limits } = context;
    this.#loop = new StepLoop(
      {
        begin: () => this.#begin(),
        pass: (desired) => this.#pass(desired),
        givesUp: (fault, desired, failures) => this.#givesUp(fault, desired, failures),
        failed: (desired, end) => (end === 'given up' ? this.#become(desired, 'failed') : this.#publish()),
        died: () => owner.died(),
      },
      { what: 'server', named: { serverId: id }, log, limits },
    );
  }

  /** As the last pass saw it; undefined where control never named the server or nothing was seen yet. */
  get observed(): ObservedServer | undefined {
    return this.#observed;
  }

  /** Something of it is here, and there is no document of it. */
  get unclaimed(): boolean {
    return this.#unclaimed && this.#owner.desired(this.id) === undefined;
  }

  /** Nothing of it is left and nobody asks for it. */
  get finished(): boolean {
    const asked = this.#owner.desired(this.id) !== undefined;
    return this.#loaded && this.#loop.idle && !asked && !this.guest && !this.record && !this.#unclaimed;
  }

  get idle(): boolean {
    return this.#loop.idle;
  }

  get runningGuest(): RunningGuest | undefined {
    const [guest, desired] = [this.guest, this.#owner.desired(this.id)];
    if (!guest || guest.ending || guest.state === 'starting' || guest.state === 'gone' || !desired) return undefined;
    return { guest, desired, sockets: this.paths };
  }

  /** The guest's own user; undefined where it has none (yet). */
  get user(): GuestUser | undefined {
    const uid = this.record?.uid;
    return uid == null ? undefined : this.context.guestUsers?.user(uid);
  }

  /** Takes over a QEMU that runs already, and says what it has open before anybody else touches that. */
  async adopt(process: QemuProcess): Promise<void> {
    await this.load();
    this.guest = newGuest(this, process);
    for (const volume of this.record?.volumes ?? []) this.tellOpen(volume);
  }

  /** The guest has the layer open as the top of a volume, or is about to. */
  tellOpen({ id, layerId }: Pick<VolumeRecord, 'id' | 'layerId'>): void {
    const { execute } = this;
    this.context.layers.open.opened({ serverId: this.id, volumeId: id, layerId, execute });
  }

  /** Its QEMU has ended. */
  letGo(guest: Guest): void {
    guest.release();
    if (this.guest === guest) this.guest = undefined;
    this.full = new Set();
    for (const known of [this.askedFor, this.keptOpen]) known.clear();
    forgetMirrors(this.copies);
    this.sending = this.sending.progress ? { progress: this.sending.progress } : {};
    this.tellClosed();
  }

  /** No guest of it has any volume. */
  tellClosed(): void {
    for (const { id } of this.record?.volumes ?? [])
      this.context.layers.open.closed({ serverId: this.id, volumeId: id });
  }

  /** Looks again now; waits that belong to an older desired state end. */
  wake(): void {
    if (!this.closed && this.#owner.desired(this.id) !== this.#seen) this.#interrupt.abort(new Superseded());
    this.#loop.wake();
  }

  /** Stops acting; the guest goes on. */
  async close(): Promise<void> {
    this.abandon();
    await this.#loop.ended();
  }

  /** The task after a simulated death: not a line more. */
  abandon(): void {
    this.#loop.close();
    this.#interrupt.abort(new Superseded());
    this.guest?.release();
  }

  get closed(): boolean {
    return this.#loop.closed;
  }

  /** @throws where the work under way is for something that nobody wants any more, or for nobody */
  requireWanted(isFor: (desired: DesiredServer) => boolean): void {
    const desired = this.#owner.desired(this.id);
    if (this.closed || !desired || !isFor(desired)) throw new Superseded();
  }

  /** So it is, while something goes on beside it. */
  show(state: ObservedServer['state']): void {
    this.#pending = null;
    this.#become(this.#seen, state, null);
  }

  /** A word for people about what is under way. */
  say(step: string | null): void {
    // Control waits to hear that what it says now is heard: the same word about something newer is news.
    const told = this.#observed?.epoch === this.#seen?.epoch && this.#observed?.generation === this.#seen?.generation;
    if (told && this.#pending === step) return;
    this.#pending = step;
    this.#publish();
  }

  /** Known is what is on disk: a change that could not be written is not there. */
  async save(changes: Partial<ServerRecord>): Promise<void> {
    const before = this.record;
    if (!before) throw new Error('there is no record to change');
    this.record = { ...before, ...changes };
    // One after the other, each with all that is known by then.
    const write = () => writeRecord(this.paths.record, this.record!, { durable: this.context.durable });
    this.#saving = this.#saving.then(write, write);
    await this.#saving.catch((error) => {
      this.record = undone(this.record!, changes, before);
      throw error;
    });
  }

  /** Control has deleted the image: it is not made, also where its making would begin only after another start of this process. */
  async refuseCapture(imageId: ImageId): Promise<void> {
    const named = this.#owner.desired(this.id)?.captures?.some((capture) => capture.imageId === imageId);
    const known = this.record?.captures ?? [];
    if (!named || !this.record || this.closed || known.some((capture) => capture.imageId === imageId)) return;
    const error = { code: 'conflict', message: deletedMeanwhile };
    await this.save({ captures: [...known, { imageId, result: null, error }] });
    this.wake();
  }

  /** What its guest posted as its password, here or on another host. */
  async guestPassword(): Promise<string | undefined> {
    await this.load();
    return knownPassword(this.record, this.#owner.desired(this.id));
  }

  /**
   * On disk when this resolves. The very same once more is taken too: the proxy asks again what we died over.
   * @returns false where there is another one
   */
  async keepGuestPassword(text: string): Promise<boolean> {
    await this.load();
    // From here to the record no await: of two at once one is first.
    const desired = this.#owner.desired(this.id);
    const present = knownPassword(this.record, desired);
    if (!this.record || !desired || this.closed) throw new Error('a password of a server that is not here');
    if (present !== undefined && present !== text) return false;
    await this.save({ guestPassword: { cleared: desired.guestPassword?.cleared ?? 0, text } });
    this.wake();
    return true;
  }

  /** Reads the record, once. */
  async load(): Promise<void> {
    if (this.#loaded) return;
    const record = await readRecord(this.paths.record);
    if (this.#loaded) return;
    this.record = record;
    this.#loaded = true;
    if (record?.uid === null && this.context.guestUsers) await closeToOthers(this.paths);
  }

  #begin(): { desired: DesiredServer | undefined } | Promise<void> {
    if (this.#owner.held(this.id)) return this.load();
    const desired = this.#owner.desired(this.id);
    this.#take(desired);
    return { desired };
  }

  /** A new generation starts with a clean slate; so does, after it was given up, another image or another word of a migration. */
  #take(desired: DesiredServer | undefined): void {
    const before = this.#seen;
    this.#seen = desired;
    if (before === desired) return;
    const same =
      before?.generation === desired?.generation &&
      before?.epoch === desired?.epoch &&
      before?.presence === desired?.presence;
    if (same && !this.#loop.gaveUp) return;
    if (same && whatFails(before) === whatFails(desired)) return;
    this.#loop.anew();
  }

  async #pass(desired: DesiredServer | undefined): Promise<void> {
    this.#interrupt = new AbortController();
    const facts = await this.#look(desired);
    const step = decide(desired, facts);
    if (step.do !== 'power-down') this.powerdown = undefined;
    this.awaitedLayer = undefined;
    this.#unclaimed = !desired && (facts.files || facts.guest !== undefined);
    if (step.do === 'nothing') {
      this.#settle(step, desired);
      return;
    }
    this.context.log.debug({ serverId: this.id, step }, 'server: next step');
    const waitMs = await perform(this, step, desired, this.#interrupt.signal);
    if (this.closed) throw new ProcessDied('after a step');
    this.#loop.next(waitMs);
  }

  async #look(desired: DesiredServer | undefined): Promise<ServerFacts> {
    await this.load();
    if (this.guest?.state === 'gone') this.letGo(this.guest);
    return look(this, desired);
  }

  #settle(step: Extract<Step, { do: 'nothing' }>, desired: DesiredServer | undefined): void {
    this.#loop.rest();
    this.#pending = step.waits ?? null;
    if (step.state === 'absent') {
      this.record = undefined;
      this.context.guestUsers?.release(this.id);
    }
    this.#become(desired, step.state, step.error);
    if (this.guest && hasCopies(this.record)) this.#loop.wakeIn(watchCopiesMs);
  }

  #givesUp({ permanent }: HostFault, desired: DesiredServer | undefined, failures: number): boolean {
    const ran = this.record?.running !== null && this.record?.running !== undefined;
    return desired?.presence === 'present' && (permanent || (!ran && failures >= this.context.limits.buildAttempts));
  }

  #publish(): void {
    this.#become(this.#seen, 'building');
  }

  #become(desired: DesiredServer | undefined, state: ObservedServer['state'], said?: ObservedServer['error']): void {
    const error = said === undefined ? (this.#loop.error ?? null) : said;
    if (!desired || this.closed) {
      this.#observed = undefined;
      if (!this.closed) this.#owner.observed(this);
      return;
    }
    const [guest, pid] = [this.guest !== undefined, this.guest?.process.pid];
    const onLeaseEnd = pid === undefined ? undefined : this.context.guard.guarded(this.id, pid);
    const { record, full, sending, copies } = this;
    const step = state === 'failed' ? null : this.#pending;
    const seen = { record, guest, onLeaseEnd, full, progress: sending.progress, copies, state, error, step };
    this.#observed = observedServer(desired, seen);
    this.#owner.observed(this);
  }
}
