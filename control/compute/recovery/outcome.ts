/** What became of one thing that was in quarantine, and what whoever decides is given. */
import { type CloudError, isCloudError } from '../../../contract/errors.ts';
import type { Database } from '../../kit/database/database.ts';
import type { Fate } from './decide.ts';

export interface Outcome {
  kind: 'server' | 'image' | 'volume' | 'snapshot' | 'layer';
  id: string;
  hostName: string;
  /** Null where the host has no document of it. */
  name: string | null;
  /** failed: it stays in quarantine, `refusal` says why; the command may be run again. */
  outcome: Fate['fate'] | 'discarded' | 'failed';
  reason?: string;
  refusal?: CloudError;
}

export interface RecoveryOptions {
  database: Database;
  /** For crash tests: throws where the process shall die. */
  afterStep?: (step: string) => void | Promise<void>;
}

export type Ending = Partial<Outcome>;

/** One that cannot be taken up keeps no other from it. */
export async function settled(base: Outcome, work: () => Promise<Ending>): Promise<Outcome> {
  try {
    return { ...base, ...(await work()) };
  } catch (error) {
    if (!isCloudError(error) || error.code === 'unavailable') throw error;
    return { ...base, outcome: 'failed', refusal: error };
  }
}
