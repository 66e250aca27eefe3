/** How the texts of image properties and extra specs are read. Pure. */
import { watchdogActions } from '../../../contract/host/index.ts';
import type { HostWord } from '../placement/host-wish.ts';
import type { UnservedWhy } from '../reasons.ts';
import type { ServerHardware } from './server-hardware.ts';

type Kept = Omit<
  ServerHardware,
  | 'tpm'
  | 'pointer'
  | 'topology'
  | 'rng'
  | 'diskLimits'
  | 'cpuLimits'
  | 'card_limits'
  | 'host_wish'
  | 'image'
  | 'admin_user'
>;

/** What one or all of them ask for. */
export interface Asked extends Kept {
  tpmModel?: 'tpm-tis' | 'tpm-crb';
  tpmVersion?: '1.2' | '2.0';
  secureBoot?: 'disabled' | 'optional' | 'required';
  tablet?: boolean;
  input?: 'usb' | 'virtio';
  videoRamMaxMiB?: number;
  rngBytes?: number;
  rngPeriodMs?: number;
  limits?: Partial<NonNullable<ServerHardware['diskLimits']>>;
  /** Thousands of bytes a second, and 1024s of them at once. */
  cards?: Partial<Record<'inboundAverage' | 'inboundBurst' | 'outboundAverage' | 'outboundBurst', number>>;
  /** Nova's own numbers: 0 and less say nothing. */
  cpuShares?: number;
  cpuPeriodUs?: number;
  cpuQuotaUs?: number;
  /** What its host shall be. */
  host?: HostWord[];
  cpu?: Partial<Record<'sockets' | 'cores' | 'threads' | 'maxSockets' | 'maxCores' | 'maxThreads', number>>;
}

export type Reader = (value: string) => Asked;

/** A value that no machine here has. */
export class Unserved extends Error {
  readonly why: UnservedWhy;

  constructor(why: UnservedWhy, message: string) {
    super(message);
    this.why = why;
  }
}

/** One of these words, each for what it asks. */
export function words<const T extends string>(
  served: readonly T[],
  ask: (word: T) => Asked,
  why: UnservedWhy = 'value',
): Reader {
  return (value) => {
    const word = served.find((each) => each === value.trim().toLowerCase());
    if (word === undefined) throw new Unserved(why, `none of ${served.join(', ')}`);
    return ask(word);
  };
}

/** Words that ask for what every machine is. @param why nothing else is served */
export const already = (why: UnservedWhy, ...served: string[]): Reader => words(served, () => ({}), why);

/** For engines that we are not: it says nothing here, as it says nothing to Nova's own driver for QEMU. */
export const ofOthers: Reader = () => ({});

/** It describes the image to people and to other services, and asks nothing of a machine, as in Nova. */
export const shownOnly: Reader = () => ({});

/** Whatever it says. */
export const never =
  (why: UnservedWhy): Reader =>
  () => {
    throw new Unserved(why, 'not served');
  };

/** Nothing said is nothing asked for. */
export const empty =
  (why: UnservedWhy, ...nothing: string[]): Reader =>
  (value) =>
    ['', ...nothing].includes(value.trim().toLowerCase()) ? {} : never(why)(value);

export function number(
  limits: { min: number; max: number },
  ask: (value: number) => Asked,
  why: UnservedWhy = 'value',
): Reader {
  return (text) => {
    const value = /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (!(value >= limits.min && value <= limits.max))
      throw new Unserved(why, `not from ${limits.min} to ${limits.max}`);
    return ask(value);
  };
}

const truths = new Set(['1', 't', 'true', 'on', 'y', 'yes']);
const falsehoods = new Set(['0', 'f', 'false', 'off', 'n', 'no', '']);

/** As Nova reads a boolean (oslo.utils strutils.bool_from_string). */
export function flag(ask: (value: boolean) => Asked): Reader {
  return (text) => {
    const word = text.trim().toLowerCase();
    if (!truths.has(word) && !falsehoods.has(word)) throw new Unserved('value', 'neither yes nor no');
    return ask(truths.has(word));
  };
}

/** What no machine here has: one may say that one wants none. */
export const notServed = (why: UnservedWhy): Reader => flag((wanted) => (wanted ? never(why)('') : {}));

/** For some words it says nothing. */
export const orNothing =
  (nothing: readonly string[], reader: Reader): Reader =>
  (value) =>
    nothing.includes(value.trim()) ? {} : reader(value);

export const watchdog: Reader = words([...watchdogActions, 'disabled'], (action) =>
  action === 'disabled' ? {} : { watchdog: action },
);

export const cpuNumber = (key: keyof NonNullable<Asked['cpu']>): Reader =>
  number({ min: 1, max: 2 ** 31 - 1 }, (value) => ({ cpu: { [key]: value } }));
