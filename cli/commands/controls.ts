import { readFileSync } from 'node:fs';
import { UsageError } from '../arguments.ts';
import { dropKit, hasKit, kitForHere, makeKit, readKit, takeKit } from '../cloud/control-kit.ts';
import { databaseUrlOf } from '../cloud/database-url.ts';
import { readIdentity, requireControlHere } from '../cloud/identity.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { dataArgument, loadSettings, type Settings } from '../settings.ts';
import { faint, say, table } from '../terminal.ts';

export const command: Command = {
  summary: 'the control processes of the cloud; run one on another machine',
  usage: '[--give NAME | --take FILE | --drop] [--data DIRECTORY]',
  description: `Without an option: which control processes there are, and which of them live.

--give, on the first machine, prints what the host NAME needs to run control too; --take, on that machine, takes it from a file (or - for standard input).
The cloud's database must be one that both reach ('database_url'). What is printed opens the whole cloud: let it go from machine to machine by ssh, and nowhere else.
--drop, on that machine: it runs control no more. Each takes effect with the next 'bothy down --keep-guests' and 'bothy up'.`,
  options: {
    give: { type: 'string', help: 'NAME of the host that shall run control too' },
    take: { type: 'string', help: 'FILE that --give has printed on the first machine' },
    drop: { type: 'boolean', help: 'this machine shall run control no more' },
    ...dataOption,
  },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    const [give, take, drop] = [args.text('give'), args.text('take'), args.flag('drop')];
    if ([give !== undefined, take !== undefined, drop].filter(Boolean).length > 1)
      throw new UsageError('--give, --take and --drop are for one at a time');
    requireRoot('control on several machines');
    if (!readIdentity(settings.paths))
      throw new CommandError(`there is no cloud in ${settings.paths.data}`, 'is this the right --data directory?');
    if (give !== undefined) await printKit(settings, give);
    else if (take !== undefined) await takeFrom(settings, take);
    else if (drop) dropHere(settings);
    else await list(settings);
    return 0;
  },
};

const restart = ({ paths }: Settings) =>
  `sudo ./bothy down --keep-guests${dataArgument(paths)} && sudo ./bothy up --detach${dataArgument(paths)}`;

async function printKit(settings: Settings, name: string): Promise<void> {
  requireControlHere(settings.paths);
  say(JSON.stringify(await makeKit(settings, name)));
}

async function takeFrom(settings: Settings, file: string): Promise<void> {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${(error as Error).message}`, 'name the file that --give has printed');
  }
  // What it is comes before whether there is room for it.
  const kit = kitForHere(settings, text);
  const { checkPorts } = await import('../cloud/preflight.ts');
  if (!hasKit(settings)) await checkPorts(settings, [{ setting: 'port', use: 'the APIs', process: 'control' }]);
  takeKit(settings, kit);
  say(`Control runs here from the next start on: ${restart(settings)}`);
}

function dropHere(settings: Settings): void {
  if (!hasKit(settings))
    throw new CommandError('control of this machine is its own', 'only what --take has taken can be dropped');
  dropKit(settings);
  say(`Control runs here until the next start: ${restart(settings)}`);
}

async function list(settings: Settings): Promise<void> {
  const url = readKit(settings)?.configuration.databaseUrl ?? databaseUrlOf(settings);
  if (!hasKit(settings)) requireControlHere(settings.paths);
  const { connect } = await import('../../control/kit/database/members.ts');
  const { Secret } = await import('../../contract/secret.ts');
  const client = await connect({ url: new Secret(url), applicationName: 'bothy controls' });
  try {
    const { rows } = await client.query(`select machine, url, version, seen_at > now() - interval '10 s' as lives,
      extract(epoch from now() - seen_at)::int as silent, extract(epoch from now() - started_at)::int as up
      from control_process order by started_at, id`);
    const lines = rows.map(({ machine, url, version, lives, silent }) => [
      ...[machine, url, version, lives ? 'lives' : `silent for ${silent} s`],
    ]);
    say(table([['MACHINE', 'ADDRESS', 'VERSION', 'STATE'], ...lines]));
    say(faint('one that is silent for a day is forgotten; its work is done by the others'));
  } finally {
    await client.end();
  }
}
