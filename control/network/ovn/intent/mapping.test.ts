/** docs/mapping-ovn.md names each column that the projection writes, and no other. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DesiredRow } from '../desired.ts';
import { representative } from '../testing/representative.ts';
import { allUnits } from '../testing/units.ts';
import { desiredRows } from './index.ts';

const page = join(import.meta.dirname, '../../../../docs/mapping-ovn.md');

/** A map's keys are columns of their own here, but where they are addresses. */
function columnsOf({ table, columns, labels, parent, references, groups }: DesiredRow): string[] {
  const own = Object.entries(columns).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && !['vips', 'variables'].includes(name)
      ? Object.keys(value).map((key) => `${table}.${name}:${key}`)
      : [`${table}.${name}`],
  );
  return [
    ...own,
    ...Object.keys(labels ?? {}).map((name) => `${table}.external_ids:${name}`),
    ...Object.keys(references ?? {}).map((name) => `${table}.${name}`),
    ...(parent ? [`${parent.table}.${parent.column}`] : []),
    ...(groups ?? []).map((group) => `${group.table}.ports`),
  ];
}

test('the page names each column that is written, once, and no other', () => {
  const written = allUnits(representative).flatMap((unit) => desiredRows(representative, unit).flatMap(columnsOf));
  const named = [...readFileSync(page, 'utf8').matchAll(/^\| `(\w+\.[\w:-]+)` \|/gm)].map(([, column]) => column!);
  assert.deepEqual(named.toSorted(), [...new Set(written)].sort());
});
