/** Brings a page of units to what the truth says, phase by phase. There is no other code that writes to a target. */
import { type AnyTarget, Refused, TargetLost, WaitsForUnit } from './target.ts';
import { Turn } from './turn.ts';

/** Units whose truth is in memory at the same time. */
export const pageSize = 200;
/** Writes on their way at the same time: while one is, the next is made ready. */
const inFlight = 2;
/** Units in one write. */
const together = 100;

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
  const end = (unit: Unit, changed: boolean, error?: unknown) => {
    if (error instanceof TargetLost) lost = error;
    outcomes.set(unit, { unit, changed, error });
  };
  const send = (parts: ReadonlyMap<Unit, unknown>) => {
    if (!mayWrite()) {
      lost = new TargetLost('the lease has run out');
      return;
    }
    const write: Promise<void> = writeTogether(target, parts, end).finally(() => writing.delete(write));
    writing.add(write);
  };
  let parts = new Map<Unit, unknown>();
  for (const unit of units) {
    if (turn.over) await turn.rest();
    if (lost) break;
    try {
      const difference = target.difference(unit, target.desired(model, unit), target.actual(unit));
      end(unit, false);
      if (difference !== undefined) parts.set(unit, difference);
    } catch (error) {
      end(unit, false, error);
    }
    if (parts.size < together) continue;
    send(parts);
    parts = new Map();
    if (writing.size >= inFlight) await Promise.race(writing);
  }
  if (parts.size > 0 && !lost) send(parts);
  await Promise.all(writing);
  if (lost) throw lost;
}

/** In one write. One that is refused is tried again in halves: the others do not wait for the one that is at fault. Never throws. */
async function writeTogether<Unit extends string>(
  target: AnyTarget<Unit>,
  parts: ReadonlyMap<Unit, unknown>,
  end: (unit: Unit, changed: boolean, error?: unknown) => void,
): Promise<void> {
  try {
    await target.apply(parts);
    for (const unit of parts.keys()) end(unit, true);
  } catch (error) {
    if (!(error instanceof Refused) || parts.size === 1) {
      for (const unit of parts.keys()) end(unit, false, error);
      return;
    }
    const all = [...parts];
    const middle = all.length >> 1;
    for (const half of [all.slice(0, middle), all.slice(middle)]) await writeTogether(target, new Map(half), end);
  }
}

export const isWaiting = (error: unknown): error is WaitsForUnit => error instanceof WaitsForUnit;
