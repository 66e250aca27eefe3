/** Guests of this machine, for stopping them when their host process is down already. */
import type { Settings } from '../settings.ts';
import type { Progress } from '../terminal.ts';

export interface Guest {
  id: string;
  pid: number;
}

export function runningGuests(_settings: Settings): Guest[] {
  return [];
}

export async function stopGuests(
  _settings: Settings,
  _options: { deadlineMs: number; progress: Progress },
): Promise<void> {}
