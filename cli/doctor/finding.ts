/** What a check found. `problem`: the cloud does not do its work; `warning`: it does, but less well or not for long. */
export interface Finding {
  check: string;
  status: 'ok' | 'warning' | 'problem';
  detail: string;
  /** What to do; empty where all is well. */
  cure: string;
}

export const ok = (check: string, detail: string): Finding => ({ check, status: 'ok', detail, cure: '' });
export const warning = (check: string, detail: string, cure: string): Finding => ({
  check,
  status: 'warning',
  detail,
  cure,
});
export const problem = (check: string, detail: string, cure: string): Finding => ({
  check,
  status: 'problem',
  detail,
  cure,
});

/** Runs a check; one that fails itself is a problem, never the end of the others. */
export async function guarded(check: string, look: () => Promise<Finding[]> | Finding[]): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [problem(check, `could not be checked: ${(error as Error).message}`, "see 'bothy logs'")];
  }
}
