/**
 * The life of one engine: wait for what it needs, adopt the process that already runs or start one, wait until it
 * serves, watch it, and start it again when it dies, at once the first time and then ever more patiently.
 *
 * Never kills a process without having found the engine's mark in its command line just before. If the supervisor dies
 * on any line the engine goes on; its pid file and mark let the next supervisor adopt it. A process that was started
 * but whose pid file was not yet written is lost to adoption for that instant only: engines that write their own pid
 * file lock it, so a second one refuses to start until the first is gone.
 */
import type { Engine } from '../../engine/engine.ts';
import { findEngine, spawnEngine, stopEngine } from '../../engine/process.ts';

export type EngineState = 'waiting' | 'preparing' | 'starting' | 'ready' | 'backing-off' | 'stopping' | 'stopped';

export interface EngineStatus {
  name: string;
  state: EngineState;
  pid: number | null;
  adopted: boolean;
  restarts: number;
  /** Failures in a row, without having been ready for a while in between. */
  failures: number;
  lastError: string | null;
}

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>) => void;

interface Watched {
  pid: number;
  adopted: boolean;
  /** Resolves with how the process ended. */
  exited: Promise<string>;
}

/** An engine that lived this long is taken for healthy: its next death is a first one. */
const healthyAfterMs = 20_000;
/** Longest pauses before the next start of a process that had been ready, and of one that had not. */
const servedDelayMs = 500;
const failedDelayMs = 10_000;
const adoptedPollMs = 250;

export class Runner {
  readonly engine: Engine;
  readonly #logFile: string;
  readonly #log: Log;
  readonly #dependencies: () => Runner[];
  readonly #changed: () => void;
  #state: EngineState = 'waiting';
  #process: Watched | undefined;
  #restarts = 0;
  #failures = 0;
  #lastError: string | null = null;
  #stopping = false;
  #wake: (() => void) | undefined;
  #life: Promise<void> | undefined;
  #aborter = new AbortController();
  /** Called after this engine was ready again following a death. */
  onReborn: () => void = () => {};

  constructor(
    engine: Engine,
    options: { logFile: string; log: Log; dependencies: () => Runner[]; changed: () => void },
  ) {
    this.engine = engine;
    this.#logFile = options.logFile;
    this.#log = options.log;
    this.#dependencies = options.dependencies;
    this.#changed = options.changed;
  }

  status(): EngineStatus {
    return {
      name: this.engine.name,
      state: this.#state,
      pid: this.#process?.pid ?? null,
      adopted: this.#process?.adopted ?? false,
      restarts: this.#restarts,
      failures: this.#failures,
      lastError: this.#lastError,
    };
  }

  get ready(): boolean {
    return this.#state === 'ready';
  }

  start(): void {
    this.#life ??= this.#live();
  }

  /** Something that this engine waits for may have changed. */
  poke(): void {
    this.#wake?.();
  }

  /** Ends the present process; the runner starts the next one. */
  restart(): void {
    const watched = this.#process;
    if (watched === undefined || this.#stopping) return;
    // One that waits for a disk dies of no signal: whoever asked sees that it is still there, and the others go on.
    stopEngine(this.engine, watched.pid).catch((error: Error) => {
      this.#log('error', 'process does not end', { engine: this.engine.name, error: error.message });
    });
  }

  /** Ends the process and the runner. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#aborter.abort();
    this.#wake?.();
    const watched = this.#process;
    if (watched !== undefined) {
      this.#become('stopping');
      await stopEngine(this.engine, watched.pid);
    }
    await this.#life;
    this.#become('stopped');
  }

  /** Ends the runner but leaves the process: it outlives this supervisor. */
  async release(): Promise<void> {
    this.#stopping = true;
    this.#aborter.abort();
    this.#wake?.();
    if (this.#process === undefined) await this.#life;
  }

  async #live(): Promise<void> {
    while (!this.#stopping) {
      this.#become('waiting');
      while (!this.#stopping && !this.#dependencies().every((runner) => runner.ready)) await this.#sleep(undefined);
      if (this.#stopping) return;
      const bornAt = performance.now();
      try {
        const how = await this.#runOnce();
        if (this.#stopping) return;
        this.#lastError = how;
        this.#log('warn', 'process ended', { engine: this.engine.name, how });
      } catch (error) {
        if (this.#stopping) return;
        this.#lastError = (error as Error).message;
        this.#log('error', 'process failed', { engine: this.engine.name, error: (error as Error).message });
      }
      const served = this.ready;
      this.#process = undefined;
      this.#restarts++;
      this.#failures = performance.now() - bornAt > healthyAfterMs ? 1 : this.#failures + 1;
      // What served and then died is killed from outside or meets a rare fault: patience is for what never comes up.
      const most = served ? servedDelayMs : failedDelayMs;
      const delayMs = this.#failures <= 1 ? 0 : Math.min(most, 100 * 2 ** Math.min(this.#failures - 2, 10));
      if (delayMs > 0) {
        this.#become('backing-off');
        await this.#sleep(delayMs);
      }
    }
  }

  /** From start or adoption to death; answers how it ended. */
  async #runOnce(): Promise<string> {
    const { engine } = this;
    const adopted = findEngine(engine);
    if (adopted === undefined) {
      this.#become('preparing');
      await engine.prepare();
      if (this.#stopping) return 'stopped before it was started';
    }
    const watched = adopted === undefined ? await spawnWatched(engine, this.#logFile) : watchForeign(engine, adopted);
    this.#process = watched;
    this.#become('starting');
    this.#log('info', adopted === undefined ? 'process started' : 'process adopted', {
      engine: engine.name,
      pid: watched.pid,
    });
    let ended: string | undefined;
    const readiness = new AbortController();
    const exit = watched.exited.then((how) => {
      ended = how;
      readiness.abort();
      return how;
    });
    try {
      await Promise.race([engine.ready(AbortSignal.any([readiness.signal, this.#aborter.signal])), exit]);
    } catch (error) {
      if (ended === undefined && !this.#stopping) {
        await stopEngine(engine, watched.pid);
        throw new Error(`started but did not become ready: ${(error as Error).message}`, { cause: error });
      }
    }
    if (ended === undefined && !this.#stopping) {
      this.#become('ready');
      this.#log('info', 'process ready', { engine: engine.name, pid: watched.pid });
      if (this.#restarts > 0) this.onReborn();
    }
    return exit;
  }

  #become(state: EngineState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#changed();
  }

  async #sleep(delayMs: number | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = delayMs === undefined ? undefined : setTimeout(resolve, delayMs);
      // A back-off is cut short only by a stop; waiting for others ends with each change of theirs.
      this.#wake = () => {
        if (delayMs !== undefined && !this.#stopping) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

function spawnWatched(engine: Engine, logFile: string): Promise<Watched> {
  const child = spawnEngine(engine, { logFile });
  const exited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
    child.once('error', (error) => resolve(error.message));
  });
  if (child.pid !== undefined) return Promise.resolve({ pid: child.pid, adopted: false, exited });
  return exited.then((why) => {
    throw new Error(`cannot start ${engine.command}: ${why}`);
  });
}

/** A process that is no child of ours can only be looked at. */
function watchForeign(engine: Engine, pid: number): Watched {
  const exited = new Promise<string>((resolve) => {
    const timer = setInterval(() => {
      if (findEngine(engine) === pid) return;
      clearInterval(timer);
      resolve('ended (adopted, so nobody knows how)');
    }, adoptedPollMs);
    timer.unref();
  });
  return { pid, adopted: true, exited };
}
