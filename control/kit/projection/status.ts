/** What a projection tells of itself, to `bothy doctor` and to people. */

export interface PassStatus {
  kind: 'full' | 'changes';
  at: Date;
  ms: number;
  /** Units that were looked at, and those of them that had to be changed. */
  units: number;
  changed: number;
  failed: number;
}

export interface UnitFailure {
  unit: string;
  error: string;
  attempts: number;
  nextAttemptAt: Date;
}

export interface ProjectionStatus {
  /** leader: this process projects; standby: another one does, or none can yet. */
  role: 'leader' | 'standby';
  /** The target is there, and what it holds is known. */
  connected: boolean;
  /** Why not, where it is not. */
  connectionError: string | null;
  lastPass: PassStatus | null;
  /** The last time that everything was gone through, to its end. */
  lastFullPass: PassStatus | null;
  /** Units whose change waits for its turn. */
  pending: number;
  failures: UnitFailure[];
  /** Units that stay though the truth does not name them: another history of the database made them, see `bothy recover`. */
  kept: number;
  /** From the commit of a change to its place in the target, of the latest pass; milliseconds. */
  lagMs: number | null;
  /** What had to be mended although no change of the truth asked for it, since the start: units, and what of them no difference shows. */
  drift: number;
  /** Last failure to read the truth, until a pass succeeds again. */
  databaseError: string | null;
}
