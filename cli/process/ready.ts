/** The processes' side of the agreement with the supervisor: say that it serves, end when told. */
import { rmSync } from 'node:fs';
import { writeWhole } from '../../control/kit/files.ts';
import { readyFile } from './definitions.ts';

/** Writes the ready file; the supervisor (and a later one that adopts the process) reads the pid in it. */
export function announceReady(configurationFile: string): void {
  writeWhole(readyFile(configurationFile), `${process.pid}\n`, { mode: 0o644 });
}

/**
 * Resolves at SIGTERM or SIGINT. From then on the process has until the supervisor's deadline to close; a second signal
 * ends it at once.
 */
export function toldToStop(configurationFile: string): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let told = false;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (told) process.exit(1);
        told = true;
        rmSync(readyFile(configurationFile), { force: true });
        resolve(signal);
      });
    }
  });
}
