/**
 * `npm run check`: format and lint, types, then every test that needs neither root nor guests. Each part runs even where
 * an earlier one failed, so one run tells everything. Exit code 0 only if all passed.
 *
 * Words on the command line choose among the tests: `npm run check -- quota` runs the test files with that in their path.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  globSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { costs, listName } from './lane.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name: string) => join(root, 'node_modules/.bin', name);

interface Part {
  name: string;
  command: string[];
}

interface Outcome {
  name: string;
  ok: boolean;
  seconds: number;
  output: string;
}

/**
 * Test files that run anywhere, in an order that is the same everywhere: those of whole clouds first, for they take long, and one
 * that is left alone at the end leaves a core idle.
 */
function fastTests(words: readonly string[] = []): string[] {
  return globSync('**/*.test.ts', {
    cwd: root,
    exclude: (name) => ['node_modules', '.bothy'].includes(String(name)),
  })
    .filter((file) => !/^test\/(live|conformance)\//.test(file))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .sort((a, b) => Number(isWhole(b)) - Number(isWhole(a)) || (a < b ? -1 : 1));
}

const isWhole = (file: string): boolean => /^test\/\w+\//.test(file);

/**
 * One thread takes half the processor time that four take, who each work out the same types. What was found of files that did not change
 * is kept for the next time, unless the folder is another user's.
 */
function checkTypes(): string[] {
  const command = [bin('tsc'), '-p', '.', '--singleThreaded'];
  const kept = join(root, '.bothy');
  try {
    mkdirSync(kept, { recursive: true });
    for (const path of [kept, ...globSync(join(kept, 'types.tsbuildinfo'))]) accessSync(path, constants.W_OK);
    return [...command, '--incremental', '--tsBuildInfoFile', join(kept, 'types.tsbuildinfo')];
  } catch {
    return command;
  }
}

/** Ctrl-C and its like end what runs; then this process tidies up. A second one ends it at once. */
const interrupted = new AbortController();

function run(part: Part, options: { show: boolean }): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const [command, ...args] = part.command as [string, ...string[]];
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
      signal: interrupted.signal,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (options.show) process.stdout.write(text);
      });
    }
    const end = (ok: boolean) =>
      resolve({ name: part.name, ok, seconds: (performance.now() - started) / 1000, output });
    child.once('error', (error) => {
      output += error.message;
      if (child.pid === undefined) end(false);
    });
    child.once('close', (code) => end(code === 0));
  });
}

function report(outcome: Outcome, options: { shown: boolean }): void {
  console.log(`${outcome.ok ? 'ok    ' : 'FAILED'} ${outcome.name.padEnd(18)} ${outcome.seconds.toFixed(1)} s`);
  if (!outcome.ok && !options.shown) console.log(outcome.output);
}

/**
 * Temporary files of the tests lie in a folder of this run, their database cluster in another: runs in other work trees share
 * nothing with it, and nothing is left over. The names are short because paths of unix sockets are.
 */
function ownFolders(): Disposable {
  const folders = [memory(4) ?? tmpdir(), memory(2) ?? tmpdir()].map((parent) => mkdtempSync(join(parent, 'bc-')));
  // As root the database runs as another user, who must be able to pass.
  for (const folder of folders) chmodSync(folder, 0o711);
  [process.env.TMPDIR, process.env.BOTHY_TEST_CLUSTER] = folders;
  return {
    [Symbol.dispose]() {
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Where there is room for so much: databases are three hundred files each, and tests make and drop some hundred of them; other tests
 * have clusters and disks of their own.
 */
function memory(gibibytes: number): string | undefined {
  const path = '/dev/shm';
  try {
    accessSync(path, constants.W_OK);
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize >= gibibytes * 2 ** 30 ? path : undefined;
  } catch {
    return undefined;
  }
}

/** The lanes (lane.ts) that share these test files: a folder of this run, and in it an entry file for each. */
function openLanes(files: string[]): { folder: string; entries: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'lanes-'));
  writeFileSync(join(folder, listName), JSON.stringify({ root, files }));
  const lane = new URL('lane.ts', import.meta.url).href;
  // Tests often wait, for a database or a deadline: one lane more than cores keeps these busy.
  const count = Math.min(files.length, availableParallelism() + 1);
  const entries = Array.from({ length: count }, (_, index) => join(folder, `lane-${index + 1}.mjs`));
  for (const entry of entries) {
    writeFileSync(entry, `import { runLane } from '${lane}';\nawait runLane(${JSON.stringify(folder)});\n`);
  }
  return { folder, entries };
}

/** Chooses what is tried of long lists, see test/support/part-of.ts; '' outside of a repository. */
function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return '';
  }
}

async function main(words: string[]): Promise<boolean> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => interrupted.abort());
  const outcomes: Outcome[] = [];
  if (words.length === 0) {
    const checks: Part[] = [
      { name: 'format and lint', command: [bin('biome'), 'ci', '--colors=off', '--error-on-warnings', '.'] },
      { name: 'types', command: checkTypes() },
    ];
    for (const outcome of await Promise.all(checks.map((part) => run(part, { show: false })))) {
      report(outcome, { shown: false });
      outcomes.push(outcome);
    }
  }
  const tests = fastTests(words);
  // Without a file Node's runner would look for tests itself, and find those that start clouds.
  if (tests.length === 0) {
    console.log(`no test file has ${words.join(' or ')} in its path`);
    return false;
  }
  using _folders = ownFolders();
  process.env.NODE_COMPILE_CACHE ??= join(root, '.bothy/compile-cache'); // the one of ./bothy
  process.env.BOTHY_COMMIT ??= commit();
  const { stopTestCluster } = await import('../control/kit/database/testing.ts');
  const lanes = openLanes(tests);
  const command = [process.execPath, '--test', `--test-concurrency=${lanes.entries.length}`, '--test-timeout=300000'];
  const outcome = await run(
    { name: `tests (${tests.length} files)`, command: [...command, ...lanes.entries] },
    { show: true },
  );
  console.log(`\nlong lists in part, chosen by BOTHY_COMMIT=${process.env.BOTHY_COMMIT}; the whole: npm run fuzz`);
  console.log('the dearest files, by processor time (without the database):');
  for (const { file, seconds, processorSeconds } of costs(lanes.folder).slice(0, 10))
    console.log(`  ${processorSeconds.toFixed(1).padStart(5)} s  within ${seconds.toFixed(1).padStart(5)} s  ${file}`);
  report(outcome, { shown: true });
  outcomes.push(outcome);
  stopTestCluster();
  return outcomes.every(({ ok }) => ok);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
