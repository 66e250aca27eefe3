/**
 * Test suites of Debian's Python packages, unmodified, run by stestr in a folder of their own. What a suite reports is taken together
 * so that each id asked for has exactly one verdict.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, run } from '../support/live-cloud.ts';

export interface Verdict {
  id: string;
  outcome: 'pass' | 'fail' | 'skip';
  seconds: number;
  /** The end of the traceback, or why it was skipped; '' for a pass. */
  reason: string;
}

export interface StestrOptions {
  /** Made by this. */
  folder: string;
  /** Of the Python modules with the tests. */
  testPath: string;
  topPath: string;
  environment: Record<string, string>;
  concurrency: number;
  deadlineMs: number;
  /** What each command is begun by; none: []. */
  within: readonly string[];
}

export class Stestr {
  readonly #options: StestrOptions;

  constructor(options: StestrOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
    // A class makes projects and servers once for all of its tests: its tests stay together.
    const lines = [
      '[DEFAULT]',
      `test_path=${options.testPath}`,
      `top_dir=${options.topPath}`,
      'group_regex=([^\\.]*\\.)*',
    ];
    writeFileSync(join(options.folder, '.stestr.conf'), `${lines.join('\n')}\n`);
  }

  /** Ids without their attributes in brackets. */
  async list(): Promise<string[]> {
    return (await this.#names()).map(nameOf);
  }

  async #names(): Promise<string[]> {
    if (!existsSync(join(this.#options.folder, '.stestr'))) await this.#stestr(['init'], 60_000);
    const { status, stdout, stderr } = await this.#stestr(['list'], 300_000);
    if (status !== 0) throw new Error(`the tests can not be listed: ${stderr.slice(-2000)}`);
    return stdout.split('\n').filter((line) => /^[a-z_]+\.\w/.test(line));
  }

  /** One verdict for each of the ids; those that were not reported (a crash, the deadline, unknown here) have failed. */
  async run(ids: readonly string[]): Promise<Verdict[]> {
    const { folder, concurrency, deadlineMs } = this.#options;
    const listFile = join(folder, 'ids.txt');
    const wanted = new Set(ids);
    // stestr chooses by whole names, with the attributes.
    const chosen = (await this.#names()).filter((name) => wanted.has(nameOf(name)));
    writeFileSync(listFile, `${chosen.join('\n')}\n`);
    const result = await this.#stestr(
      ['run', '--load-list', listFile, '--concurrency', String(concurrency)],
      deadlineMs,
    );
    writeFileSync(join(folder, 'run.log'), result.stdout + result.stderr);
    const stream = join(folder, 'run.subunit');
    await mustRun('sh', ['-c', `stestr last --subunit > ${stream}; true`], { cwd: folder, env: this.#environment() });
    const reports = await mustRun('sh', ['-c', `/usr/bin/python3 ${verdictsPath} < ${stream}`], { cwd: folder });
    return verdictsOf(
      ids,
      reports.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Verdict])),
    );
  }

  #stestr(args: string[], deadlineMs: number) {
    const [command, ...rest] = [...this.#options.within, 'stestr', ...args];
    return run(command!, rest, { cwd: this.#options.folder, env: this.#environment(), deadlineMs });
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: this.#options.folder,
      LANG: 'C.UTF-8',
      ...this.#options.environment,
    };
  }
}

const verdictsPath = join(import.meta.dirname, 'verdicts.py');
/** Without its attributes; what stands behind them tells apart the runs of one test with several givens. */
const nameOf = (id: string): string => id.replace(/\[[^\]]*\]/, '');

/** A class whose preparation failed or was skipped is reported once; that is the verdict of all of its tests. */
export function verdictsOf(ids: readonly string[], reports: readonly Verdict[]): Verdict[] {
  const own = new Map<string, Verdict>();
  const ofClass = new Map<string, Verdict>();
  for (const report of reports) {
    const [, name] = /^setUpClass \((.+)\)$/.exec(report.id) ?? [];
    if (name === undefined) own.set(nameOf(report.id), report);
    else if (report.outcome !== 'pass') ofClass.set(name, report);
  }
  return ids.map((id) => {
    const found = own.get(id) ?? ofClass.get(id.replace(/\.\w+(\(.*\))?$/, ''));
    return found ? { ...found, id } : { id, outcome: 'fail', seconds: 0, reason: 'never reported' };
  });
}

/** Ids of a file, one a line. */
export const idsOf = (file: string): string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
