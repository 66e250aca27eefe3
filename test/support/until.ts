/**
 * For what should be there at once: it is long, for a machine may be busy, and only a fault waits that long. The queue gives what a dead
 * worker had begun to another within 75 s (control/kit/queue), so it is longer than that.
 */
export const patienceMs = 100_000;

/** Waits for a condition, looking again at each turn of the event loop and, later, every few milliseconds. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  options: { timeoutMs?: number } = {},
): Promise<void> {
  const deadline = performance.now() + (options.timeoutMs ?? patienceMs);
  for (let turn = 0; !(await condition()); turn++) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    if (turn < 200) await new Promise((resolve) => setImmediate(resolve));
    else await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
