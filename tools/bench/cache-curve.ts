/** The picture of `npm run bench -- cache`: hits by second. Pure. */
export interface Second {
  reads: number;
  misses: number;
  /** Share of the reads that found what they asked for in the cache. */
  hits: number;
}

const [width, height, margin] = [720, 320, 48];

/** @param every after so many seconds the hot spot moves */
export function curve(seconds: readonly Second[], every: number): string {
  const x = (at: number) => margin + (at * (width - 2 * margin)) / (seconds.length - 1);
  const y = (share: number) => height - margin - share * (height - 2 * margin);
  const points = seconds.map(({ hits }, at) => `${x(at).toFixed(1)},${y(hits).toFixed(1)}`).join(' ');
  const levels = [0, 0.2, 0.4, 0.6, 0.8, 1].map(
    (
      share,
    ) => `<line x1="${margin}" x2="${width - margin}" y1="${y(share)}" y2="${y(share)}" stroke="${share === 0.8 ? '#c60' : '#ddd'}"/>
<text x="${margin - 8}" y="${y(share) + 4}" text-anchor="end">${100 * share} %</text>`,
  );
  const times = seconds.flatMap((_, at) =>
    at % 10 === 9 ? `<text x="${x(at)}" y="${height - margin + 18}" text-anchor="middle">${at + 1} s</text>` : [],
  );
  const moves = seconds.flatMap((_, at) =>
    at > 0 && at % every === 0
      ? `<line x1="${x(at)}" x2="${x(at)}" y1="${y(0)}" y2="${y(1)}" stroke="#999" stroke-dasharray="4 4"/>`
      : [],
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">
<title>Hits of a volume's cache, by second</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${width / 2}" y="22" text-anchor="middle" font-size="14">hits of a cache, by second; the hot spot moves every ${every} s</text>
${levels.join('\n')}
${times.join('\n')}
${moves.join('\n')}
<polyline points="${points}" fill="none" stroke="#06c" stroke-width="2"/>
</svg>
`;
}
