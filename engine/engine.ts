/**
 * An engine is a process that Bothy runs but did not write: ovsdb-server, ovs-vswitchd, ovn-controller, ovn-northd,
 * HAProxy, PostgreSQL. A definition is data plus two questions (`prepare`, `ready`); whoever supervises it starts the
 * command in the foreground, in a session of its own (detached, so that no signal of the terminal reaches it), with
 * stdout and stderr in a file, and sees its death.
 *
 * Adoption: an engine may outlive the supervisor that started it. Before a start the supervisor reads the pid in the
 * first line of `pidFile`; if that process runs as the engine's user, is one of its programs, and has `mark` as one of its
 * arguments, it *is* the engine and is watched instead of a new one being started. The mark is unique to this engine of this
 * cloud (it names a path below its directories), so a pid that was given to another process in the meantime is never taken
 * for ours; user and program are what a local user's look-alike does not have.
 */
export interface Engine {
  /** Unique among the engines of one cloud on one machine, e.g. 'ovn-northbound'. */
  name: string;
  /** Absolute, or looked up in PATH. A network namespace, where one is asked for, is already part of the command line. */
  command: string;
  args: string[];
  /** Added to the supervisor's environment. */
  env: Record<string, string>;
  /** Name of the user to run as; absent: as the supervisor itself (root). */
  user?: string;
  /** Name of the user that the command becomes by itself, where it does. */
  becomes?: string;
  /** File names of the programs that the process is in the course of its life; absent: that of `command`. */
  programs?: string[];
  /** Engines that must be ready before this one starts. */
  after: string[];
  /** Engines that must be restarted when this one died and was started again (ovs-vswitchd → ovn-controller). */
  restartAlso: string[];
  /** 'guests': stays up when Bothy goes down but guests are kept running; 'cloud': goes down with Bothy. */
  outlives: 'cloud' | 'guests';
  /** First line is the pid in decimal. */
  pidFile: string;
  /** Who writes the pid file: the engine itself, or the supervisor right after the start. */
  pidFileWriter: 'engine' | 'supervisor';
  /** An argument that only this engine's process has in its command line. */
  mark: string;
  stopSignal: NodeJS.Signals;
  /** After this long without an exit the supervisor may send SIGKILL. */
  stopTimeoutMs: number;
  /** Makes directories, creates or converts databases. Idempotent; called before each start (not before an adoption). */
  prepare(): Promise<void>;
  /** Resolves once the engine serves; rejects (it has its own deadline) saying what was waited for. */
  ready(signal?: AbortSignal): Promise<void>;
}
