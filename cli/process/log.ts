/**
 * A process's log: JSON lines to its standard output, written at once. A line that can't be written is nobody's exception: with the
 * disk full every call of the logger would throw, in the middle of whatever it tells of, and each report of that would be the next one.
 */
import pino, { type Logger } from 'pino';

/** What waits for room on the disk; what comes on top of it is lost. */
const maxWaitingBytes = 1024 * 1024;

export function processLog(name: string, level: string, descriptor = 1): Logger {
  const destination = pino.destination({ dest: descriptor, sync: true, maxLength: maxWaitingBytes });
  destination.on('error', () => {});
  return pino({ name, level }, destination);
}
