/** Whether the machine behind a BMC is the host: by the UUID that both tell, or where one tells none by an administrator's word. Pure. */
import type { BmcSystem } from '../../../protocols/bmc/index.ts';
import type { HostWordBy } from '../../host/tables.ts';

/** See migrations/1045-host-bmc-accepted.sql. */
export interface BmcAccepted extends HostWordBy {
  system: string;
  label: string;
}

/** Of a UUID that is another one no word is believed. */
export function isProven(
  sameMachine: boolean | undefined,
  system: Pick<BmcSystem, 'path' | 'label'>,
  accepted: BmcAccepted | null,
): boolean {
  if (sameMachine !== undefined) return sameMachine;
  return accepted !== null && accepted.system === system.path && accepted.label === system.label;
}
