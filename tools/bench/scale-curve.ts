/** The picture of `npm run bench -- scale`: figures by the number of hosts, both on scales of powers. Pure. */
import type { Size } from './scale-fill.ts';
import type { Figures } from './scale-work.ts';

export type Point = Size & { figures: Figures };

const [width, height, left, right, top, bottom] = [760, 400, 60, 230, 40, 50] as const;
const lines: readonly [name: string, label: string, color: string][] = [
  ['POST to ACTIVE, p99 ms', 'POST to ACTIVE, p99 (ms)', '#06c'],
  ['port create, p99 ms', 'port create, p99 (ms)', '#c60'],
  ['list of 50, p99 ms', 'list of 50, p99 (ms)', '#090'],
  ['show, p99 ms', 'show, p99 (ms)', '#909'],
  ['placements a second', 'placements a second', '#c00'],
  ['RSS of control, MiB', 'RSS of control (MiB)', '#666'],
];

/** Each line goes through the sizes that have its figure. */
export function scaleCurve(points: readonly Point[]): string {
  const hosts = points.map((point) => Math.log10(point.hosts));
  const [first, last] = [Math.min(...hosts), Math.max(...hosts)];
  const shown = lines.filter(([name]) => points.some(({ figures }) => (figures[name] ?? 0) > 0));
  const values = shown.flatMap(([name]) => points.flatMap(({ figures }) => figures[name] ?? []));
  const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const x = (log: number) => left + ((log - first) * (width - left - right)) / (last - first || 1);
  const y = (value: number) =>
    height - bottom - ((Math.log10(value) - low) * (height - top - bottom)) / (high - low || 1);
  const levels = Array.from({ length: high - low + 1 }, (_, n) => 10 ** (low + n)).map(
    (
      value,
    ) => `<line x1="${left}" x2="${width - right}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="#ddd"/>
<text x="${left - 8}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${value}</text>`,
  );
  const sizes = points.map(
    ({ hosts: count, servers }, n) =>
      `<text x="${x(hosts[n]!).toFixed(1)}" y="${height - bottom + 18}" text-anchor="middle">${count}</text>
<text x="${x(hosts[n]!).toFixed(1)}" y="${height - bottom + 32}" text-anchor="middle" fill="#666">${servers}</text>`,
  );
  const curves = shown.map(([name, label, color]) => {
    const known = points.flatMap(({ figures }, n) => {
      const value = figures[name];
      return value === undefined || value <= 0 ? [] : [{ at: x(hosts[n]!), y: y(value) }];
    });
    const path = known.map((point) => `${point.at.toFixed(1)},${point.y.toFixed(1)}`).join(' ');
    const end = known.at(-1)!;
    return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"/>
<text x="${(end.at + 8).toFixed(1)}" y="${(end.y + 4).toFixed(1)}" fill="${color}">${label}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">
<title>What growth costs, by hosts and servers</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="22" font-size="14">what growth costs, by hosts (above) and servers (below)</text>
${levels.join('\n')}
${sizes.join('\n')}
${curves.join('\n')}
</svg>
`;
}
