/**
 * One machine behind a service processor that speaks IPMI 2.0, by `ipmitool` (tool.ts). What identifies the machine and whether it has power are asked in one session, so that both are the same one's. Owns nothing between
 * two calls.
 */
import { fileURLToPath } from 'node:url';
import { BmcError, type BmcSystem, type ResetOptions, type ResetType, type ServiceProcessor } from '../bmc/index.ts';
import { dcmiWattsIn, hasNoNumber, isOfCiphers, labelIn, powerIn, type Said, saysPower, uuidsIn } from './reading.ts';
import { type CipherSuite, callTool, type ToolOptions } from './tool.ts';

export interface IpmiOptions extends ToolOptions {
  /** For one call of ipmitool; the one that reads what the machine is called, once, may take twice as long. */
  timeoutMs?: number;
}

/** What does not change, and of which machine. */
interface Names {
  uuid: string | null;
  label: string;
}

const usualTimeoutMs = 10_000;
/** There is one system behind an address. */
const path = 'chassis';
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const actions: Record<ResetType, string> = { On: 'on', ForceOff: 'off', GracefulShutdown: 'soft' };

export class Ipmi implements ServiceProcessor {
  readonly #options: IpmiOptions;
  readonly #timeoutMs: number;
  #names: Names | undefined;
  #suite: CipherSuite = 17;

  constructor(options: IpmiOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? usualTimeoutMs;
  }

  async system(): Promise<BmcSystem> {
    this.#names ??= await this.#readNames();
    const askedAt = performance.now();
    const said = await this.#call(['exec', file('look')], this.#timeoutMs, hasNoNumber);
    const power = powerIn(said);
    const [uuid = null, ...otherUuids] = uuidsIn(said);
    if (uuid !== this.#names.uuid) throw new BmcError('ambiguous', 'another machine answers there than a moment ago');
    return { path, uuid, otherUuids, power, label: this.#names.label, askedAt };
  }

  /** Slow where much is written there. */
  async #readNames(): Promise<Names> {
    const said = await this.#call(['exec', file('look-closely')], 2 * this.#timeoutMs, saysPower);
    return { uuid: uuidsIn(said)[0] ?? null, label: labelIn(said) };
  }

  async reset(type: ResetType, { withinMs = this.#timeoutMs }: ResetOptions = {}): Promise<string> {
    const timeoutMs = Math.min(withinMs, this.#timeoutMs);
    const { out } = await this.#call(['chassis', 'power', actions[type]], timeoutMs);
    const said = /^Chassis Power Control: ([\w/ ]{1,40})$/m.exec(out);
    if (!said) throw new BmcError('malformed', 'it does not say that it was asked for that');
    return said[0];
  }

  /** By DCMI, which many do not speak. */
  async watts(): Promise<number | undefined> {
    try {
      return dcmiWattsIn(await this.#call(['dcmi', 'power', 'reading'], this.#timeoutMs));
    } catch (error) {
      if (error instanceof BmcError && error.kind === 'refused') return undefined;
      throw error;
    }
  }

  async #call(command: readonly string[], timeoutMs: number, isDone?: (said: Said) => boolean): Promise<Said> {
    const began = performance.now();
    try {
      return await callTool(this.#options, command, { timeoutMs, isDone, suite: this.#suite });
    } catch (error) {
      if (this.#suite === 3 || !isOfCiphers(error)) throw error;
    }
    this.#suite = 3;
    const leftMs = timeoutMs - (performance.now() - began);
    return callTool(this.#options, command, { timeoutMs: leftMs, isDone, suite: 3 });
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}
