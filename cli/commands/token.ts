import { databaseUrlOf } from '../cloud/database-url.ts';
import { readIdentity, requireControlHere } from '../cloud/identity.ts';
import { cloudLayout } from '../cloud/layout.ts';
import { observeCloud } from '../cloud/observe.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { requireTunnels } from '../cloud/tunnels.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { dataArgument, loadSettings } from '../settings.ts';
import { faint, say } from '../terminal.ts';

export const command: Command = {
  summary: 'let another machine join: one token, for one machine',
  usage: '[--name NAME] [--data DIRECTORY]',
  description: `Run it on the machine of control. Prints the command that makes another machine a host of this cloud. The token in it is good for an
hour and for one machine. Those that are out are listed and taken back at /native/v1/host-tokens.`,
  options: { name: { type: 'string', help: 'NAME that the machine must have as a host' }, ...dataOption },
  positionals: { min: 0, max: 0 },
  async run(args) {
    const settings = loadSettings(args.text('data'));
    const { paths } = settings;
    requireRoot('making a token');
    if (!readIdentity(paths))
      throw new CommandError(`there is no cloud in ${paths.data}`, 'is this the right --data directory?');
    requireControlHere(paths);
    const { state, publicUrl } = await observeCloud(settings);
    if (state !== 'up') throw new CommandError('the cloud is not up', `sudo ./bothy up --detach${dataArgument(paths)}`);
    await requireTunnels(settings);
    const hostName = args.text('name');
    say(
      `sudo ./bothy join ${publicUrl} --token ${await issue(settings, hostName)}${hostName ? ` --name '${hostName.replaceAll("'", "'\\''")}'` : ''}`,
    );
    say(faint('on the other machine, within an hour; for another machine, another token'));
    return 0;
  },
};

async function issue(settings: Parameters<typeof databaseUrlOf>[0], hostName: string | undefined): Promise<string> {
  const { readFileSync } = await import('node:fs');
  const { sql } = await import('kysely');
  const { forgetChassis } = await import('../cloud/leave-chassis.ts');
  const { Database } = await import('../../control/kit/database/database.ts');
  const { HostTokenService } = await import('../../control/host/token/index.ts');
  const { Secret } = await import('../../contract/secret.ts');
  const database = new Database({ url: new Secret(databaseUrlOf(settings)), applicationName: 'bothy token' });
  try {
    await forgetChassis({ target: cloudLayout(settings.paths).southbound }, async () => {
      const { rows } = await sql<{ id: string }>`select id from host`.execute(database.query);
      return new Set(rows.map(({ id }) => id));
    });
    const ca = readFileSync(cloudLayout(settings.paths).authorityFile, 'utf8');
    return (await new HostTokenService({ database, ca }).issue(undefined, { hostName })).text;
  } finally {
    await database.close();
  }
}
