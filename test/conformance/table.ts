/** What the suites found: a file of verdicts for each, kept in the repository, and `docs/conformance.md` made from all of them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Verdict } from './stestr.ts';

const resultsFolder = join(import.meta.dirname, 'results');
const notAskedFile = join(import.meta.dirname, 'lists/not-asked.txt');
const reasonsFile = join(import.meta.dirname, 'lists/reasons.txt');

export interface SuiteResult {
  title: string;
  /** Of its last whole run. */
  date: string;
  commit: string;
  verdicts: KeptVerdict[];
}

export interface KeptVerdict extends Verdict {
  /** Date and commit, where the id was run again after the whole. */
  since?: string;
}

/** What a run of some ids found takes the place of what was known of them. */
export function runAgain(known: SuiteResult, again: SuiteResult): SuiteResult {
  const since = `${again.date} ${again.commit}`;
  const verdicts = new Map<string, KeptVerdict>(known.verdicts.map((one) => [one.id, one]));
  for (const one of again.verdicts) verdicts.set(one.id, { ...one, since });
  return { ...known, verdicts: [...verdicts.values()] };
}

export function keepResult(name: string, result: SuiteResult): void {
  mkdirSync(resultsFolder, { recursive: true });
  const { title, date, commit, verdicts } = result;
  const lines = verdicts
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, outcome, reason, since = '' }) =>
      [id, outcome, reason.replace(/[\t\r\n]+/g, ' '), since].join('\t').trimEnd(),
    );
  writeFileSync(join(resultsFolder, `${name}.tsv`), `${[`# ${title}`, `# ${date} ${commit}`, ...lines].join('\n')}\n`);
}

export function readResult(name: string): SuiteResult | undefined {
  const file = join(resultsFolder, `${name}.tsv`);
  if (!existsSync(file)) return undefined;
  const [title, origin, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  const [, date = '', commit = ''] = origin!.split(' ');
  const verdicts = lines.map((line) => {
    const [id, outcome, reason = '', since] = line.split('\t');
    return { id, outcome, reason, seconds: 0, ...(since && { since }) } as KeptVerdict;
  });
  return { title: title!.slice(2), date, commit, verdicts };
}

/** The first line of reasons.txt whose pattern is found in the id or in what the test said. */
function reasonFor({ id, reason }: Verdict, reasons: readonly Reason[]): string {
  const known = reasons.find(({ pattern }) => pattern.test(`${id} ${reason}`));
  return known?.text ?? `not looked into: ${escaped(reason.slice(0, 200))}`;
}

export interface Reason {
  pattern: RegExp;
  text: string;
}

export const readReasons = (): Reason[] =>
  fieldsOf(reasonsFile).map(([pattern, text]) => ({ pattern: new RegExp(pattern!), text: text! }));

/** Ids that no suite asks for, though their package has them. */
export interface NotAsked {
  which: string;
  ids: number;
  text: string;
}

export const readNotAsked = (): NotAsked[] =>
  fieldsOf(notAskedFile).map(([which, ids, text]) => ({ which: which!, ids: Number(ids), text: text! }));

const fieldsOf = (file: string): string[][] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split('\t'));

/**
 * The area of the id: `tempest.api.compute.…` and `openstackclient.tests.functional.compute.…` are compute's, and all that the plugin of
 * Neutron asks is networking's.
 */
const areaOf = (id: string): string =>
  id.startsWith('neutron_tempest_plugin.') ? 'network' : (/\.(?:api|functional)\.(\w+)\./.exec(id)?.[1] ?? 'other');

export function page(
  suites: readonly SuiteResult[],
  reasons: readonly Reason[],
  notAsked: readonly NotAsked[] = [],
): string {
  const lines = [
    '# Conformance',
    '',
    'Made by `sudo npm run conformance`; what it does is in [its README](../test/conformance/README.md). Every id that was asked for is',
    'counted: what was not reported has failed, and a skip is no pass.',
    '',
    '| suite | area | ids | pass | fail | skip |',
    '|---|---|---:|---:|---:|---:|',
    ...suites.flatMap(rows),
    '',
  ];
  for (const suite of suites) lines.push(...missing(suite, reasons));
  if (notAsked.length > 0)
    lines.push(
      "## The client's functional tests: what is not asked, and why",
      '',
      ...notAsked.map(({ which, ids, text }) => `- \`${which}\` (${ids}): ${text}`),
      '',
    );
  return `${lines.join('\n').trimEnd()}\n`;
}

function rows({ title, date, commit, verdicts }: SuiteResult): string[] {
  const areas = [...new Set(verdicts.map(({ id }) => areaOf(id)))].sort();
  const count = (of: readonly Verdict[], outcome: string) => of.filter((one) => one.outcome === outcome).length;
  const row = (label: string, area: string, of: readonly Verdict[]) =>
    `| ${label} | ${area} | ${of.length} | ${count(of, 'pass')} | ${count(of, 'fail')} | ${count(of, 'skip')} |`;
  return [
    row([`${title}, ${date}, \`${commit}\``, ...later(verdicts)].join('; '), '**all**', verdicts),
    ...areas.map((area) =>
      row(
        '',
        area,
        verdicts.filter(({ id }) => areaOf(id) === area),
      ),
    ),
  ];
}

/** How many ids were run again, and when. */
function later(verdicts: readonly KeptVerdict[]): string[] {
  const runs = Map.groupBy(
    verdicts.filter(({ since }) => since !== undefined),
    ({ since }) => since!,
  );
  return [...runs].sort().map(([since, { length }]) => `${length} of them ${since.replace(/ (.*)/, ', `$1`')}`);
}

/** What did not pass, together by reason. */
function missing({ title, verdicts }: SuiteResult, reasons: readonly Reason[]): string[] {
  const byReason = new Map<string, string[]>();
  for (const verdict of verdicts.filter(({ outcome }) => outcome !== 'pass')) {
    const reason = reasonFor(verdict, reasons);
    const skipped = verdict.outcome === 'skip' ? ' (skipped)' : '';
    byReason.set(reason, [...(byReason.get(reason) ?? []), `\`${verdict.id}\`${skipped}`]);
  }
  if (byReason.size === 0) return [];
  const sorted = [...byReason].sort(([, a], [, b]) => b.length - a.length);
  return [
    `## ${title}: what does not pass, and why`,
    '',
    ...sorted.flatMap(([reason, ids]) => [`${reason} (${ids.length}):`, '', ...ids.map((id) => `- ${id}`), '']),
  ];
}

const escaped = (text: string): string => text.replace(/([\\`*_<>[\]])/g, '\\$1');
