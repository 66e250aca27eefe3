/** graphile-worker speaks at info about each job; ours say more, once. Only its warnings and errors pass. */
import { Logger as WorkerLogger } from 'graphile-worker';
import type { Logger } from 'pino';

export function quietLogger(log: Logger): WorkerLogger {
  return new WorkerLogger(() => (level, message, meta) => {
    if (level === 'error' || level === 'warning') log.warn({ meta }, `work queue: ${message}`);
  });
}
