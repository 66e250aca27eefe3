/**
 * Tells control what has passed ports, routers and floating IPs on this host. Owns a timer, what control has recorded of it, and the file `meters.json`: the last
 * readings of taps that are gone, until control has recorded them; it is written before the tap goes. Counters are told as they stand, and control adds
 * what is new, so whatever is told again counts once; if this process dies on any line, the next one tells all of them. What no stream
 * took, or control could not record, is told at the next beat.
 */
import { join } from 'node:path';
import type { HostMessage, MeterReading } from '../../contract/host/index.ts';
import { messageLimits } from '../../contract/host/index.ts';
import { readIfThere, writeWhole } from '../files.ts';
import type { HostNetworkPort, PortCounter, RouterCounter } from '../host-network.ts';
import type { HostLogger } from '../logger.ts';

export interface MetersOptions {
  dataDirectory: string;
  durable: boolean;
  /** Counters of another boot count from zero. */
  bootId: string;
  network: Pick<HostNetworkPort, 'portCounters' | 'routerCounters' | 'beforeUnplugged'>;
  /** Lost where no stream is open. */
  send(message: HostMessage & { type: 'meters' }): void;
  log: HostLogger;
  intervalMs: number;
}

export class Meters {
  readonly #options: MetersOptions;
  /** What control has recorded, as text, by source; of what stands now. */
  #recorded = new Map<string, string>();
  /** Of what is gone. */
  readonly #last = new Map<string, MeterReading>();
  #sequence = 0;
  #told: readonly MeterReading[] = [];
  /** What the last beat found beyond one message. */
  #untold: MeterReading[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #beating = false;

  constructor(options: MetersOptions) {
    this.#options = options;
    options.network.beforeUnplugged((counter) => this.#keepLast(this.#reading(counter)));
  }

  /** Before anything is unplugged. A file that can't be read is of no use: what it held beyond what control recorded is lost. */
  async open(): Promise<void> {
    const text = await readIfThere(this.#path);
    if (!text) return;
    try {
      for (const reading of JSON.parse(text.toString()) as MeterReading[]) this.#last.set(reading.source, reading);
    } catch (err) {
      this.#options.log.warn({ err }, 'the last readings of meters are damaged');
    }
  }

  start(): void {
    this.#timer = setInterval(() => void this.beat(), this.#options.intervalMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Tells what has grown since control recorded it, as much as goes into one message; the rest after its answer. */
  async beat(): Promise<void> {
    if (this.#beating) return;
    this.#beating = true;
    try {
      const { network } = this.#options;
      const ports = (await network.portCounters()).map((counter) => this.#reading(counter));
      const now = [...ports, ...(await this.#readRouters())];
      const standing = new Set(now.map(({ source }) => source));
      for (const source of this.#recorded.keys()) if (!standing.has(source)) this.#recorded.delete(source);
      const grown = now.filter(
        (reading) => !this.#last.has(reading.source) && this.#recorded.get(reading.source) !== JSON.stringify(reading),
      );
      // What the last beat did not come to goes first: else those that are told first, which always grow, were all that is ever told.
      const waiting = new Set(this.#untold.map(({ source }) => source));
      const readings = Map.groupBy([...this.#last.values(), ...grown], ({ source }) => waiting.has(source));
      this.#untold = [...(readings.get(true) ?? []), ...(readings.get(false) ?? [])];
      this.#tell();
    } catch (err) {
      this.#options.log.warn({ err }, 'meters could not be read');
    } finally {
      this.#beating = false;
    }
  }

  #tell(): void {
    const readings = this.#untold.splice(0, messageLimits.meters);
    this.#told = readings;
    if (readings.length > 0) this.#options.send({ type: 'meters', sequence: ++this.#sequence, readings });
  }

  /** Control's answer. One to a message before the last says nothing of what was told since. */
  async recorded(sequence: number): Promise<void> {
    if (sequence !== this.#sequence) return;
    const told = this.#told;
    this.#told = [];
    let fewer = false;
    for (const reading of told) {
      if (JSON.stringify(this.#last.get(reading.source)) === JSON.stringify(reading)) {
        this.#last.delete(reading.source);
        fewer = true;
      } else this.#recorded.set(reading.source, JSON.stringify(reading));
    }
    if (fewer) await this.#write();
    if (sequence === this.#sequence && this.#untold.length > 0) this.#tell();
  }

  async #keepLast(reading: MeterReading): Promise<void> {
    if (this.#recorded.get(reading.source) === JSON.stringify(reading)) return;
    this.#last.set(reading.source, reading);
    await this.#write();
  }

  #reading({ portId, counter, statistics: { rx, tx } }: PortCounter): MeterReading {
    const source = `${this.#options.bootId}/${counter}/${portId}`;
    return { source, portId, rxBytes: rx.bytes, rxPackets: rx.packets, txBytes: tx.bytes, txPackets: tx.packets };
  }

  /** A switch that is down is no reason to say nothing of ports. */
  async #readRouters(): Promise<MeterReading[]> {
    try {
      return (await this.#options.network.routerCounters()).map(routerReading);
    } catch (err) {
      this.#options.log.warn({ err }, 'meters of routers could not be read');
      return [];
    }
  }

  /** One after the other; each writes what is then. */
  #write(): Promise<void> {
    const { durable } = this.#options;
    const next = this.#writing.then(() =>
      writeWhole(this.#path, JSON.stringify([...this.#last.values()]), { durable }),
    );
    this.#writing = next.catch(() => {});
    return next;
  }

  get #path(): string {
    return join(this.#options.dataDirectory, 'meters.json');
  }
}

function routerReading({
  routerId,
  floatingIp,
  counted,
  counter,
  statistics: { rx, tx },
}: RouterCounter): MeterReading {
  const of = counted ? { counted: { routerId, ...counted } } : { routerId, ...(floatingIp && { floatingIp }) };
  return {
    ...{ source: counter, ...of },
    ...{ rxBytes: rx.bytes, rxPackets: rx.packets, txBytes: tx.bytes, txPackets: tx.packets },
  };
}
