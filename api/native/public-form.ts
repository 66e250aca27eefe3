/**
 * What a project's members may read of a row: the columns that its resource shows (see control/kit/resource.ts). A type that
 * shows none is for administrators only. Secrets are in no row of the change log at all.
 */
import { generalColumns } from '../../control/kit/resource.ts';
import { resources } from '../../control/resources.ts';

const shown = new Map(
  resources.flatMap(({ noun, memberColumns }) =>
    memberColumns ? [[noun, new Set<string>([...generalColumns, ...memberColumns])] as const] : [],
  ),
);

/** Types of the change log that members read. */
export const memberTypes: readonly string[] = [...shown.keys()];

/** The row as members may read it; undefined where they may not. */
export function publicForm(type: string, row: Readonly<Record<string, unknown>>): Record<string, unknown> | undefined {
  const columns = shown.get(type);
  if (!columns) return undefined;
  const seen = Object.entries(row).filter(([column]) => columns.has(column));
  return Object.fromEntries(seen.map(([column, value]) => [column, column === 'fault' ? publicFault(value) : value]));
}

/** Why a host refused, and which, is in a fault's details: for administrators, as in Nova. */
function publicFault(fault: unknown): unknown {
  if (fault === null || typeof fault !== 'object') return fault;
  const { details: _, ...told } = fault as Record<string, unknown>;
  return told;
}
