/** When it is time to make hosts even, and until when. Pure. */
import type { Imbalance } from './propose.ts';

export interface Hysteresis {
  /** Since when a host is above the upper threshold, in ms; null: none is. */
  since: number | null;
  /** It has been for long enough, and is made even until it is below the lower one. */
  levelling: boolean;
}

export const atRest: Hysteresis = { since: null, levelling: false };

export function after(
  { since, levelling }: Hysteresis,
  worst: Pick<Imbalance, 'above'> | null,
  { now, upper, lower, holdMs }: { now: number; upper: number; lower: number; holdMs: number },
): Hysteresis {
  const above = worst?.above ?? 0;
  if (levelling) return above > lower ? { since, levelling: true } : atRest;
  if (above <= upper) return atRest;
  const began = since ?? now;
  return { since: began, levelling: now - began >= holdMs };
}
