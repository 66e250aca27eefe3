/**
 * What something must offer to be kept equal to the truth: OVN's northbound database, a DNS server's zones, a balancer's
 * configuration. The kit knows nothing else of it.
 *
 * A unit is what is read, compared and written together. `desired` and `difference` are pure; `load` is the only one that
 * reads the truth, `apply` the only one that writes.
 */
import type { Change } from '../change-log/changes.ts';

export interface Target<Unit extends string, Model, Desired, Actual, Difference> {
  /** What the target holds is known. While false, nothing is asked of it. */
  readonly ready: boolean;
  /** Why it is not ready, for people. */
  readonly trouble: string | null;
  /** Units that stay there though the truth does not name them, until an administrator decides. */
  readonly kept?: number;

  /** May this change mean anything to the target? Called for every change of the cloud: cheap, and without effect. */
  concerns(change: Change): boolean;
  /**
   * The units that changes touch; of each resource only the last change is given. Called only between passes: what it
   * sees of the target is what the passes so far have left there, so it may look there for the unit that a resource was
   * part of and has left, which no change names.
   */
  touched(changes: readonly Change[]): Promise<Iterable<Unit>>;
  /** All units that shall be there, and all that are there, in pages of bounded work, those first that others refer to. */
  everything(): AsyncIterable<readonly Unit[]>;

  /** Units of a lower phase are in place before those of a higher one refer to them. */
  phaseOf(unit: Unit): number;
  load(units: readonly Unit[]): Promise<Model>;
  desired(model: Model, unit: Unit): Desired;
  actual(unit: Unit): Actual;
  /** @throws WaitsForUnit */
  difference(unit: Unit, desired: Desired, actual: Actual): Difference | undefined;
  /**
   * All of it, or nothing.
   * @throws TargetLost; Refused: it is tried again in halves, so that one unit keeps no other from it; any other failure is that of all of them
   */
  apply(parts: ReadonlyMap<Unit, Difference>): Promise<void>;
  /** While everything is gone through: what no difference shows, for a page of units. Answers how much was put right. */
  mend?(units: readonly Unit[]): Promise<number>;
  /** The same, at once, for what the target was told that others did, of no unit in particular. It told of that by `disturbed`. */
  mendTold?(): Promise<number>;

  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: the kit hands these from one method to the next and looks into none
export type AnyTarget<Unit extends string> = Target<Unit, any, any, any, any>;

/** What a target tells of itself, and the one thing that it asks. */
export interface TargetEvents<Unit extends string> {
  /** The lease may have run out since the last look: asked before each write. */
  mayWrite(): boolean;
  /** It is ready, and may hold anything: everything is gone through, without pauses. */
  renewed(): void;
  /** Somebody else changed these; none: what `mendTold` knows. */
  disturbed(units: Iterable<Unit>): void;
  /** `touched` is to be asked, though no change came: a time is over. */
  look(): void;
}

/** The connection or the lease is gone: the pass ends, and begins again when the target is ready or another leads. */
export class TargetLost extends Error {}

/** Nothing of a write was done, as the target would not have it; of any other failure nobody knows. */
export class Refused extends Error {}

/** Another unit must be there first. */
export class WaitsForUnit<Unit extends string = string> extends Error {
  readonly unit: Unit;
  constructor(unit: Unit, message: string) {
    super(message);
    this.unit = unit;
  }
}
