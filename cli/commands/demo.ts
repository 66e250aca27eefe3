import { join } from 'node:path';
import { readText } from '../../control/kit/files.ts';
import { cloudEntry } from '../cloud/client-files.ts';
import { requireControlHere } from '../cloud/identity.ts';
import { cloudLayout } from '../cloud/layout.ts';
import { begin, untilReady } from '../cloud/start.ts';
import { type Command, dataOption } from '../command.ts';
import type { Outcome } from '../demo/play.ts';
import { dataArgument, loadSettings, type Settings } from '../settings.ts';
import { bold, faint, inBackground, say, seconds, step } from '../terminal.ts';

export const command: Command = {
  summary: 'from a bare machine to a guest you log in to',
  usage: '[--data DIRECTORY]',
  description: `Installs what is missing, starts the cloud in the background, builds a small guest image out of Debian packages, makes
a project with user, network, router, security group and key pair, starts a server, and logs in to it over SSH
through a floating IP. Says what it does and how long each step takes. A second run finds everything there and only
makes a new server: seconds.

It can be interrupted at any point; the next run carries on. To remove everything: bothy down --purge`,
  options: { ...dataOption },
  positionals: { min: 0, max: 0 },
  run: async (args) => demo(loadSettings(args.text('data'))),
};

async function demo(settings: Settings): Promise<number> {
  const started = performance.now();
  say(bold('Bothy: from this machine to a guest\n'));
  requireControlHere(settings.paths);
  const { publicUrl } = await begin(settings, 'demo');
  // Neither keeps two cores busy: the image is built while the cloud starts.
  const { ensureGuestImage } = await import('../demo/guest-image.ts');
  const build = inBackground((progress) => ensureGuestImage(settings.paths.cache, progress));
  await untilReady(settings);
  const guest = await step('guest image', build, ({ built }) =>
    built ? 'built out of Debian packages meanwhile' : 'from an earlier run',
  );
  const { demoName, playDemo } = await import('../demo/play.ts');
  const adminPassword = readText(cloudLayout(settings.paths).adminPasswordFile)?.trim() ?? '';
  const outcome = await playDemo(settings, { publicUrl, adminPassword, guest });

  const caFile = join(settings.paths.data, 'ca.pem');
  const access = { publicUrl, region: settings.values.region, caFile, adminPassword };
  const clouds = [
    cloudEntry('bothy', { ...access, user: 'admin', password: adminPassword, project: 'admin' }),
    cloudEntry('bothy-demo', { ...access, user: demoName, password: outcome.password, project: demoName }),
  ].join('');
  const { offerClientConfig } = await import('../cloud/client-config.ts');
  const config = offerClientConfig(clouds);
  say(`\nThe guest says: ${bold(outcome.greeting)}`);
  say(faint(`All of it took ${seconds(performance.now() - started)}.\n`));
  showNextSteps(settings, { publicUrl, config, ...outcome });
  return 0;
}

function showNextSteps(settings: Settings, facts: Outcome & { publicUrl: string; config: string | undefined }): void {
  const { data } = settings.paths;
  const where = dataArgument(settings.paths);
  const cloud = facts.config === undefined ? 'bothy' : 'bothy-demo';
  const clouds =
    facts.config === undefined
      ? `export OS_CLIENT_CONFIG_FILE=${data}/clouds.yaml   (as root; your own clouds.yaml was left alone)`
      : `(clouds 'bothy', the administrator, and 'bothy-demo' are in ${facts.config})`;
  say(`Endpoint   ${facts.publicUrl}/identity/v3
Log in     sudo ssh -i ${facts.keyFile} cirros@${facts.address}
openstack  sudo apt-get install python3-openstackclient
           ${clouds}
           openstack --os-cloud ${cloud} server list
Console    openstack --os-cloud ${cloud} console log show ${facts.serverName}   (console url show: in a browser, once)
Next       sudo ./bothy status${where}   doctor   logs   down   down --purge`);
}
