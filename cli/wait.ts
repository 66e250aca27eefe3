/** Waiting for conditions, always with a deadline, never with a bare sleep. */

export interface WaitOptions {
  deadlineMs: number;
  signal?: AbortSignal | undefined;
  /** First pause between two looks; it doubles up to ten times this. */
  pauseMs?: number;
}

/**
 * Looks until the condition answers something else than undefined or false. The error of a missed deadline says what was
 * waited for and, where the condition threw, why it was not met at the last look.
 */
export async function waitFor<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  options: WaitOptions,
): Promise<T> {
  const deadline = Date.now() + options.deadlineMs;
  const first = options.pauseMs ?? 20;
  let pauseMs = first;
  let last: unknown;
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      if (error instanceof GiveUp) throw error.cause;
      last = error;
    }
    if (Date.now() >= deadline) {
      const reason = last instanceof Error ? `: ${last.message}` : '';
      throw new Error(`waited ${Math.round(options.deadlineMs / 1000)} s for ${what}${reason}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    pauseMs = Math.min(first * 10, pauseMs * 1.5);
  }
}

/** Thrown by a condition that can never be met: the wait ends with the cause. */
export class GiveUp extends Error {
  override readonly name = 'GiveUp';
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}
