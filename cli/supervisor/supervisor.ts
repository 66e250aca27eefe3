/**
 * Runs a set of engines: each after those it needs, all stopped in reverse order. Owns the processes' pid files (where
 * the engine does not write its own), log files and the control socket; decides nothing about guests or the cloud.
 * When it dies, everything it started goes on, and the next supervisor of the same data directory adopts it.
 */
import type { Engine } from '../../engine/engine.ts';
import { stopEngine } from '../../engine/process.ts';
import { boundLog, logFiles } from './log-file.ts';
import { type EngineStatus, type Log, Runner } from './runner.ts';

const logPassMs = 10_000;

export class Supervisor {
  readonly #runners: Runner[];
  readonly #logDirectory: string;
  readonly #listeners = new Set<() => void>();
  #logTimer: NodeJS.Timeout | undefined;

  constructor(engines: readonly Engine[], options: { logDirectory: string; log: Log }) {
    const byName = new Map<string, Runner>();
    const logFile = (name: string) => `${options.logDirectory}/${name}.log`;
    this.#runners = inStartOrder(engines).map((engine) => {
      const runner = new Runner(engine, {
        logFile: logFile(engine.name),
        log: options.log,
        dependencies: () => engine.after.map((name) => byName.get(name)!),
        changed: () => this.#changed(),
      });
      runner.onReborn = () => {
        for (const name of engine.restartAlso) byName.get(name)?.restart();
      };
      byName.set(engine.name, runner);
      return runner;
    });
    this.#logDirectory = options.logDirectory;
  }

  start(): void {
    for (const runner of this.#runners) runner.start();
    this.#logTimer = setInterval(() => {
      for (const { file } of logFiles(this.#logDirectory)) boundLog(file);
    }, logPassMs);
  }

  status(): EngineStatus[] {
    return this.#runners.map((runner) => runner.status());
  }

  /** Calls back on each change of a state; answers how to stop that. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  restart(name: string): boolean {
    const runner = this.#runners.find((candidate) => candidate.engine.name === name);
    runner?.restart();
    return runner !== undefined;
  }

  /** Stops everything in reverse order; what outlives with guests is left alone when guests are kept. */
  async stop(options: { keepGuests: boolean }): Promise<void> {
    clearInterval(this.#logTimer);
    const reversed = this.#runners.toReversed();
    const kept = reversed.filter((runner) => options.keepGuests && runner.engine.outlives === 'guests');
    // First nobody restarts anything, then everything ends, users before what they use.
    await Promise.all(kept.map((runner) => runner.release()));
    const ending = new Map<string, Promise<void>>();
    for (const runner of reversed.filter((candidate) => !kept.includes(candidate))) {
      const users = this.#runners.filter((other) => other.engine.after.includes(runner.engine.name));
      const gone = Promise.all(users.map((user) => ending.get(user.engine.name)));
      ending.set(
        runner.engine.name,
        gone.then(() => runner.stop()),
      );
    }
    await Promise.all(ending.values());
  }

  #changed(): void {
    for (const runner of this.#runners) runner.poke();
    for (const listener of this.#listeners) listener();
  }
}

/** Engines such that each comes after all that it names in `after`. */
export function inStartOrder(engines: readonly Engine[]): Engine[] {
  const byName = new Map(engines.map((engine) => [engine.name, engine]));
  if (byName.size !== engines.length) throw new Error('two engines have one name');
  const done = new Set<string>();
  const ordered: Engine[] = [];
  const visit = (engine: Engine, path: string[]) => {
    if (done.has(engine.name)) return;
    if (path.includes(engine.name))
      throw new Error(`engines wait for each other: ${[...path, engine.name].join(' → ')}`);
    for (const name of engine.after) {
      const needed = byName.get(name);
      if (needed === undefined) throw new Error(`engine ${engine.name} comes after ${name}, which does not exist`);
      visit(needed, [...path, engine.name]);
    }
    done.add(engine.name);
    ordered.push(engine);
  };
  for (const engine of engines) visit(engine, []);
  return ordered;
}

/** For a cloud whose supervisor is gone: ends what still runs, in reverse order. Answers the names of what it ended. */
export async function stopOrphans(engines: readonly Engine[], options: { keepGuests: boolean }): Promise<string[]> {
  const ended: string[] = [];
  for (const engine of inStartOrder(engines).reverse()) {
    if (options.keepGuests && engine.outlives === 'guests') continue;
    if (await stopEngine(engine)) ended.push(engine.name);
  }
  return ended;
}
