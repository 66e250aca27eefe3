/** How long to wait after the n-th failure in a row: doubling, bounded, with jitter so that failures don't march in step. */
export function backOffMs(failures: number, options: { firstMs: number; maxMs: number }): number {
  const ms = Math.min(options.maxMs, options.firstMs * 2 ** Math.max(0, failures - 1));
  return ms * (0.75 + Math.random() / 2);
}
