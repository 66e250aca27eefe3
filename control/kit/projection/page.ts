/** Brings a page of units to what the truth says, phase by phase. There is no other code that writes to a target. */
import { type AnyTarget, TargetLost, WaitsForUnit } from './target.ts';
import { Turn } from './turn.ts';

/** Units whose truth is in memory at the same time. */
export const pageSize = 200;
/** Writes on their way at the same time. */
const inFlight = 32;

export interface Outcome<Unit extends string> {
  unit: Unit;
  changed: boolean;
  error: unknown;
}

/** @throws TargetLost, and what `load` throws; what fails for one unit is in its outcome */
export async function bringPage<Unit extends string>(
  target: AnyTarget<Unit>,
  units: readonly Unit[],
  mayWrite: () => boolean,
): Promise<Outcome<Unit>[]> {
  const model = await target.load(units);
  const phases = [...Map.groupBy(units, (unit) => target.phaseOf(unit))].sort(([a], [b]) => a - b);
  const turn = new Turn();
  const outcomes = new Map<Unit, Outcome<Unit>>();
  for (const [, names] of phases) await bringAll(target, model, names, { outcomes, turn, mayWrite });
  // What one waited for, or a name that it could not have yet, may have been another's of this page.
  const again = [...outcomes.values()].filter(({ error }) => error !== undefined).map(({ unit }) => unit);
  if (again.length > 0 && units.length > 1) await bringAll(target, model, again, { outcomes, turn, mayWrite });
  return [...outcomes.values()];
}

async function bringAll<Unit extends string>(
  target: AnyTarget<Unit>,
  model: unknown,
  units: readonly Unit[],
  { outcomes, turn, mayWrite }: { outcomes: Map<Unit, Outcome<Unit>>; turn: Turn; mayWrite: () => boolean },
): Promise<void> {
  const writing = new Set<Promise<void>>();
  let lost: TargetLost | undefined;
  for (const unit of units) {
    if (turn.over) await turn.rest();
    if (lost) break;
    const end = (changed: boolean, error?: unknown) => outcomes.set(unit, { unit, changed, error });
    try {
      const difference = target.difference(unit, target.desired(model, unit), target.actual(unit));
      end(false);
      if (difference === undefined) continue;
      if (!mayWrite()) throw new TargetLost('the lease has run out');
      const write = target
        .apply(unit, difference)
        .then(
          () => void end(true),
          (error: unknown) => {
            if (error instanceof TargetLost) lost = error;
            end(false, error);
          },
        )
        .finally(() => writing.delete(write));
      writing.add(write);
    } catch (error) {
      if (error instanceof TargetLost) lost = error;
      end(false, error);
    }
    if (writing.size >= inFlight) await Promise.race(writing);
  }
  await Promise.all(writing);
  if (lost) throw lost;
}

export const isWaiting = (error: unknown): error is WaitsForUnit => error instanceof WaitsForUnit;
