/** How much a fuzz does: a little in `npm run check`, all that fits into a minute and a half with `npm run fuzz`. */
export function effort(): { seed: number; full: boolean } {
  const full = process.env.BOTHY_FUZZ !== undefined;
  const given = Number(process.env.BOTHY_FUZZ_SEED);
  return { full, seed: Number.isInteger(given) && given > 0 ? given : full ? Date.now() % 2 ** 31 : 1 };
}
