/** Puts results of the load driver beside OpenStack's figures. */
import { references } from './openstack-zed.ts';

export interface LoadResult {
  metrics: Record<string, { unit: string; median: number; min: number; max: number; rounds: number }>;
  failed: Record<string, string[]>;
}

const column = (text: string, width: number, right = true) => (right ? text.padStart(width) : text.padEnd(width));
const figure = (value: number | null | undefined) =>
  value === null || value === undefined ? '–' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);

/** The table as text, and the targets that were missed. */
export function compare(result: LoadResult): { text: string; missed: string[] } {
  const missed: string[] = [];
  const lines = [
    [column('work', 46, false), column('Bothy', 9), column('Zed', 8), column('times', 7), column('target', 8), ''].join(
      ' ',
    ),
  ];
  for (const { metric, openstack, target, better } of references) {
    const measured = result.metrics[metric];
    if (!measured) continue;
    const value = measured.median;
    const times = openstack === null ? null : better === 'lower' ? openstack / value : value / openstack;
    const met = target === null ? '' : (better === 'lower' ? value <= target : value >= target) ? 'met' : 'MISSED';
    if (met === 'MISSED') missed.push(metric);
    const [name, part] = metric.split(' | ');
    const label = `${name}${part ? `, ${part}` : ''} (${measured.unit})`;
    lines.push(
      [
        column(label, 46, false),
        column(figure(value), 9),
        column(figure(openstack), 8),
        column(times === null ? '–' : `${figure(times)}x`, 7),
        column(figure(target), 8),
        met,
      ].join(' '),
    );
  }
  for (const [work, errors] of Object.entries(result.failed)) lines.push(`FAILED ${work}: ${errors.join('; ')}`);
  return { text: lines.join('\n'), missed };
}
