/** What is asked of the service processor (BMC) of one machine, whatever it speaks. Every answer is somebody else's word. */

/** `changing` is on its way to either, or paused. */
export type PowerState = 'on' | 'off' | 'changing' | 'unknown';

export interface BmcSystem {
  /** Which of those behind the address: of Redfish its `@odata.id`. */
  path: string;
  /** Of the machine, in lower case; null: it says none. */
  uuid: string | null;
  /** What that may be as well, for makers differ in the order of its bytes (uuid.ts). */
  otherUuids: readonly string[];
  power: PowerState;
  /** Maker, model and serial number, as far as it says them. */
  label: string;
  /** When power was asked for, by the clock of `performance`: what was said is true of no moment before. */
  askedAt: number;
}

export type ResetType = 'ForceOff' | 'GracefulShutdown' | 'On';

export interface ResetOptions {
  /** As {@link ServiceProcessor.system} has answered it: then nothing is looked up before. */
  system?: BmcSystem;
  /** Nothing is sent later than that, and no answer awaited. */
  withinMs?: number;
}

export interface ServiceProcessor extends AsyncDisposable {
  /** @throws BmcError */
  system(): Promise<BmcSystem>;
  /**
   * Asks for it, and answers what was said to that, for people. Whether it came to that is to be looked at.
   * @throws BmcError `refused` where it says no; others where it is not known what came of it
   */
  reset(type: ResetType, options?: ResetOptions): Promise<string>;
  /** What the machine takes, in watts; undefined where it does not say. @throws BmcError */
  watts(): Promise<number | undefined>;
  /** What it began it ends. Never throws. */
  close(): Promise<void>;
}
