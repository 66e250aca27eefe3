/** The end of an export's processes: all that run as its user. */
import { readdirSync } from 'node:fs';
import { identifyProcess } from '../../../engine/process-identity.ts';
import { waitUntil } from '../../../engine/wait.ts';

const endMs = 20_000;

/** Kills all that runs as the export's user, and waits for that. Also for whoever takes a cloud down. */
export async function endProcesses({ uid }: { uid: number }): Promise<void> {
  const left = () =>
    readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && identifyProcess(Number(entry))?.uid === uid);
  await waitUntil(
    'the processes of an export to end',
    () => {
      const pids = left();
      for (const pid of pids) killed(Number(pid));
      return pids.length === 0;
    },
    { timeoutMs: endMs, everyMs: 20 },
  );
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
