/**
 * `npm run check`: format and lint, types, then every test that needs neither root nor guests. Each part runs even where
 * an earlier one failed, so one run tells everything. Exit code 0 only if all passed.
 *
 * Words on the command line choose among the tests: `npm run check -- quota` runs the test files with that in their path.
 */
import { spawn } from 'node:child_process';
import { chmodSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

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

/** Test files that run anywhere, in an order that is the same everywhere. */
export function fastTests(words: readonly string[] = []): string[] {
  return globSync('**/*.test.ts', {
    cwd: root,
    exclude: (name) => ['node_modules', '.bothy'].includes(String(name)),
  })
    .filter((file) => !/^test\/(live|conformance)\//.test(file))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .sort();
}

function run(part: Part, options: { show: boolean }): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const [command, ...args] = part.command as [string, ...string[]];
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
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
      end(false);
    });
    child.once('close', (code) => end(code === 0));
  });
}

function report(outcome: Outcome, options: { shown: boolean }): void {
  console.log(`${outcome.ok ? 'ok    ' : 'FAILED'} ${outcome.name.padEnd(18)} ${outcome.seconds.toFixed(1)} s`);
  if (!outcome.ok && !options.shown) console.log(outcome.output);
}

/**
 * Temporary files of the tests, their database cluster among them, lie in a folder of this run: runs in other work trees share
 * nothing with it, and nothing is left over. Its name is short because paths of unix sockets are.
 */
function ownTemporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bc-'));
  // As root the database runs as another user, who must be able to pass.
  chmodSync(folder, 0o711);
  process.env.TMPDIR = folder;
  return folder;
}

async function main(words: string[]): Promise<boolean> {
  const outcomes: Outcome[] = [];
  if (words.length === 0) {
    const checks: Part[] = [
      { name: 'format and lint', command: [bin('biome'), 'ci', '--colors=off', '--error-on-warnings', '.'] },
      { name: 'types', command: [bin('tsc'), '-p', '.'] },
    ];
    for (const outcome of await Promise.all(checks.map((part) => run(part, { show: false })))) {
      report(outcome, { shown: false });
      outcomes.push(outcome);
    }
  }
  const temporary = ownTemporaryFolder();
  const { stopTestCluster } = await import('../control/database/testing.ts');
  const tests = fastTests(words);
  const outcome = await run(
    { name: `tests (${tests.length} files)`, command: [process.execPath, '--test', '--test-timeout=120000', ...tests] },
    { show: true },
  );
  report(outcome, { shown: true });
  outcomes.push(outcome);
  stopTestCluster();
  rmSync(temporary, { recursive: true, force: true });
  return outcomes.every(({ ok }) => ok);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
