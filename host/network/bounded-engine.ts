/** A daemon of one network or router, as an engine: in the network's namespace, bounded in memory, outliving the host process. Definitions only. */
import type { Engine } from '../../engine/engine.ts';

export interface BoundedEngine {
  name: string;
  program: string;
  args: readonly string[];
  /** The user that the daemon becomes by itself. */
  user: string;
  /** Undefined: none but the machine's own. */
  namespace: string | undefined;
  /** What its data may take, in bytes; beyond it the daemon gets no memory. */
  dataBytes: number;
  pidFile: string;
  /** The path in its arguments by which it is found again. */
  config: string;
}

export function boundedEngine({
  name,
  program,
  args,
  user,
  namespace,
  dataBytes,
  pidFile,
  config,
}: BoundedEngine): Engine {
  const within = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace];
  return {
    ...{ name, env: {}, becomes: user, after: [], restartAlso: [], outlives: 'guests', pidFile, mark: config },
    command: 'prlimit',
    args: [`--data=${dataBytes}`, ...within, program, ...args],
    programs: ['prlimit', 'ip', program],
    pidFileWriter: 'supervisor',
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 3000,
    prepare: async () => {},
    // It says nothing when it serves, and nobody waits for it: the next look finds out whether it stands.
    ready: async () => {},
  };
}
