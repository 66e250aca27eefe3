/**
 * A lane: one of the few processes in which `npm run check` runs all of its test files. It takes the next file that no lane has taken
 * until none is left; a process for each file would load and compile the same modules some hundred times over.
 *
 * A file is a suite here: its hooks are its own, and it ends before the next begins. What it leaves behind in the process
 * (timers, listeners, variables of a module) would meet the next one; tests clean up, and code keeps no state in modules.
 */

import { type AsyncHook, createHook } from 'node:async_hooks';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import { pathToFileURL } from 'node:url';

/** What the lanes of a run share: this file, and for each test file an empty one when it is taken, and in the end what it cost. */
export const listName = 'files.json';

interface List {
  root: string;
  /** In the order in which to take them. */
  files: string[];
}

export interface Cost {
  file: string;
  seconds: number;
  /** Processor time of the lane meanwhile; what databases and other processes did for it is not in it. */
  processorSeconds: number;
}

/** Runs the files of the folder that no lane has begun. */
export async function runLane(folder: string): Promise<void> {
  const { root, files } = JSON.parse(readFileSync(join(folder, listName), 'utf8')) as List;
  // A test may wait for what does not keep a process alive by itself, such as a timer of the code that it tries.
  const alive = setInterval(() => {}, 60_000);
  let current = '';
  for (const event of ['uncaughtException', 'unhandledRejection'])
    process.on(event, (error: unknown) => console.error(`${event} while ${current} ran:`, error));
  const tracking = trackingOfRunner(() => before(() => {}));
  for (const [index, file] of files.entries()) {
    if (!take(join(folder, `${index}.taken`))) continue;
    current = file;
    const began = performance.now();
    const used = process.cpuUsage();
    tracking.enable();
    const [calendar, { now }] = [Date, Date];
    await describe(file, async () => {
      after(() => {
        if (Date === calendar && Date.now === now) return;
        globalThis.Date = calendar;
        Date.now = now;
        console.error(`${file} has left this process another clock`);
        throw new Error('another clock');
      });
      await import(pathToFileURL(join(root, file)).href);
      tracking.disable();
    });
    const { user, system } = process.cpuUsage(used);
    const cost = { file, seconds: (performance.now() - began) / 1000, processorSeconds: (user + system) / 1e6 };
    writeFileSync(join(folder, `${index}.cost`), JSON.stringify(cost satisfies Cost));
  }
  clearInterval(alive);
}

/**
 * Node's runner follows every promise and handle of the process. It needs that to know whose test a file declares, that is while the file
 * is loaded; afterwards only to name the test of an error that nobody caught, and that was a fifth of what the check cost. Such an error
 * fails the lane all the same, and is told with its file.
 * @param first makes the runner begin
 */
function trackingOfRunner(first: () => void): AsyncHook {
  const prototype = Object.getPrototypeOf(createHook({})) as AsyncHook;
  const { enable } = prototype;
  let tracking: AsyncHook | undefined;
  prototype.enable = function () {
    tracking = this;
    return this;
  };
  try {
    first();
  } finally {
    prototype.enable = enable;
  }
  if (tracking === undefined) throw new Error('this Node.js follows tests in another way: see trackingOfRunner');
  return tracking;
}

/** What the files cost that have ended, the dearest first. */
export function costs(folder: string): Cost[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.cost'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Cost)
    .sort((a, b) => b.processorSeconds - a.processorSeconds);
}

/** False when another was faster. */
function take(path: string): boolean {
  try {
    writeFileSync(path, '', { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
