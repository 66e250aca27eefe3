/**
 * `sudo npm run conformance`: starts a cloud of two machines of its own, runs OpenStack's own suites against it, and writes what they found to
 * `results/` and `docs/conformance.md`. The cloud is gone at the end, come what may.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { repository } from '../support/live-cloud.ts';
import { isOfClient, openstackClient } from './clients.ts';
import { type ConformanceCloud, conformanceCloud } from './cloud.ts';
import { type Prepared, prepare } from './prepare.ts';
import { idsOf, type Stestr, type Verdict } from './stestr.ts';
import { keepResult, page, readNotAsked, readReasons, readResult, runAgain } from './table.ts';
import { neutronPlugin, tempest } from './tempest.ts';

interface Suite {
  /** Debian's packages whose versions tell what was run. */
  package: string;
  title: string;
  open(cloud: ConformanceCloud, prepared: Prepared, folder: string): Stestr;
  ids(stestr: Stestr): Promise<string[]>;
}

const list = (name: string) => async () => idsOf(join(import.meta.dirname, `lists/${name}.txt`));

/** In the order of the page. */
const suites: Record<string, Suite> = {
  bar: { package: 'tempest', title: 'Tempest, the bar', open: tempest, ids: list('bar') },
  open: { package: 'tempest', title: 'Tempest, beyond the bar', open: tempest, ids: list('open') },
  neutron: {
    package: 'neutron-tempest-plugin',
    title: "Neutron's plugin for Tempest",
    open: neutronPlugin,
    ids: list('neutron'),
  },
  client: {
    package: 'python3-openstackclient',
    title: "The client's functional tests",
    open: (cloud, _prepared, folder) => openstackClient(cloud, folder),
    ids: async (stestr) => (await stestr.list()).filter(isOfClient),
  },
};

const usage = `npm run conformance -- [bar] [open] [neutron] [client] [--only PATTERN [--keep]] [--data DIRECTORY]

  --only PATTERN    only ids that the regular expression fits; nothing is written down then
  --keep            but with this what they found, in the place of what the last whole run did
  --page            only makes the page anew, of the results and reasons that there are
  --data DIRECTORY  against the cloud that runs there, which is left alone
`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      keep: { type: 'boolean' },
      page: { type: 'boolean' },
      data: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help || positionals.some((name) => suites[name] === undefined)) {
    console.log(usage);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  if (values.page) return writePage();
  // The client's tests trip over images without a name, and Tempest leaves some.
  const names = Object.keys(suites)
    .filter((name) => positionals.length === 0 || positionals.includes(name))
    .reverse();
  await using cloud = await conformanceCloud(values.data);
  const prepared = await prepare(cloud);
  const folder = mkdtempSync(join(tmpdir(), 'bothy-suites-'));
  for (const name of names) {
    const verdicts = await runSuite(suites[name]!, { cloud, prepared, folder: join(folder, name), only: values.only });
    for (const { outcome, id, reason } of verdicts) if (outcome !== 'pass') console.log(`${outcome} ${id}: ${reason}`);
    const count = (outcome: string) => verdicts.filter((one) => one.outcome === outcome).length;
    console.log(`${name}: passed ${count('pass')}, failed ${count('fail')}, skipped ${count('skip')}; in ${folder}`);
    if (values.only === undefined || values.keep) writeDown(name, verdicts, { whole: values.only === undefined });
  }
}

async function runSuite(
  suite: Suite,
  given: { cloud: ConformanceCloud; prepared: Prepared; folder: string; only: string | undefined },
): Promise<Verdict[]> {
  const stestr = suite.open(given.cloud, given.prepared, given.folder);
  const only = new RegExp(given.only ?? '');
  const ids = (await suite.ids(stestr)).filter((id) => only.test(id));
  console.log(`${suite.title}: ${ids.length} ids`);
  return stestr.run(ids);
}

function writeDown(name: string, verdicts: Verdict[], { whole }: { whole: boolean }): void {
  const said = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: repository, encoding: 'utf8' });
  const suite = suites[name]!;
  const version = said('dpkg-query', '--show', suite.package).trim().split('\t')[1];
  const result = {
    title: `${suite.title} (${suite.package} ${version})`,
    date: new Date().toISOString().slice(0, 10),
    commit: said('git', 'rev-parse', '--short', 'HEAD').trim(),
    verdicts,
  };
  const known = whole ? undefined : readResult(name);
  keepResult(name, known ? runAgain(known, result) : result);
  writePage();
}

function writePage(): void {
  const results = Object.keys(suites).flatMap((name) => readResult(name) ?? []);
  const file = join(repository, 'docs/conformance.md');
  writeFileSync(file, page(results, readReasons(), readNotAsked()));
  console.log(`${file}: ${readFileSync(file, 'utf8').split('\n').length} lines`);
}

await main();
