import { join } from 'node:path';
import { addressIn } from '../cloud/addresses.ts';
import { cloudEntry } from '../cloud/client-files.ts';
import { cloudLayout } from '../cloud/layout.ts';
import { makeReady, startInBackground } from '../cloud/start.ts';
import { type Command, dataOption } from '../command.ts';
import { readText } from '../files.ts';
import { loadSettings, type Settings } from '../settings.ts';
import { bold, faint, say, seconds, step } from '../terminal.ts';

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
  const layout = cloudLayout(settings.paths);
  say(bold('Bothy: from this machine to a guest\n'));
  const { publicUrl } = await makeReady(settings, 'demo');
  await startInBackground(settings);
  const { ensureGuestImage } = await import('../demo/guest-image.ts');
  const guest = await step(
    'guest image',
    (progress) => ensureGuestImage(settings.paths.cache, progress),
    (image) => (image.built ? 'built out of Debian packages' : 'from an earlier run'),
  );
  const { HttpClient } = await import('../demo/http.ts');
  const { OpenStack } = await import('../demo/openstack.ts');
  const resources = await import('../demo/resources.ts');
  const servers = await import('../demo/server.ts');
  const http = new HttpClient(join(settings.paths.data, 'ca.pem'));
  const authUrl = `${publicUrl}/identity/v3`;
  const adminPassword = readText(layout.adminPasswordFile)?.trim() ?? '';
  const password = resources.demoPassword(layout.secrets);
  const name = resources.demoName;

  const admin = await step('log in as admin', () =>
    OpenStack.login(http, { authUrl, user: 'admin', password: adminPassword, project: 'admin' }),
  );
  await step('project, user and role', () => resources.ensureProjectAndUser(admin, password));
  const image = await step(
    'image',
    (progress) => resources.ensureImage(admin, guest, progress),
    (made) => (made.uploaded ? 'uploaded' : 'there already'),
  );
  const flavorId = await step('flavor', () => resources.ensureFlavor(admin));
  const cidr = settings.values.external_cidr;
  const externalId = await step('external network', () =>
    resources.ensureExternalNetwork(admin, { cidr, gateway: addressIn(cidr, 1) }),
  );
  const user = await step('log in as demo', () =>
    OpenStack.login(http, { authUrl, user: name, password, project: name }),
  );
  const networkId = await step('network, subnets and router', () => resources.ensureNetwork(user, externalId));
  await step('security group: SSH and ping', () => resources.ensureSecurityGroup(user));
  const directory = join(settings.paths.data, 'demo');
  const keyFile = await step('key pair', () => resources.ensureKeyPair(user, directory));
  const server = await step(
    'server',
    (progress) => servers.createServer(user, { imageId: image.id, flavorId, networkId }, progress),
    (made) => `${made.name} is ACTIVE`,
  );
  const address = await step(
    'floating IP',
    () => servers.giveFloatingIp(user, externalId, server.portId),
    (ip) => ip,
  );
  const greeting = await step('log in over SSH', (progress) =>
    servers.login(user, { server, address, keyFile, directory }, progress),
  );
  http.close();

  const access = {
    publicUrl,
    region: settings.values.region,
    caFile: join(settings.paths.data, 'ca.pem'),
    adminPassword,
  };
  const clouds = [
    'clouds:\n',
    cloudEntry('bothy', { ...access, user: 'admin', password: adminPassword, project: 'admin' }),
    cloudEntry('bothy-demo', { ...access, user: name, password, project: name }),
  ].join('');
  const { offerClientConfig } = await import('../demo/client-config.ts');
  const config = offerClientConfig(clouds);
  say(`\nThe guest says: ${bold(greeting)}`);
  say(faint(`All of it took ${seconds(performance.now() - started)}.\n`));
  showNextSteps({
    settings,
    publicUrl,
    address,
    serverName: server.name,
    config,
    ssh: servers.sshArguments(keyFile, directory),
  });
  return 0;
}

function showNextSteps(facts: {
  settings: Settings;
  publicUrl: string;
  address: string;
  serverName: string;
  config: string | undefined;
  ssh: string[];
}): void {
  const { settings, config } = facts;
  const where = settings.paths.data === '/var/lib/bothy' ? '' : ` --data ${settings.paths.data}`;
  const key = facts.ssh[1];
  say(`Endpoint   ${facts.publicUrl}/identity/v3
Log in     sudo ssh -i ${key} cirros@${facts.address}
openstack  sudo apt-get install python3-openstackclient
           ${config === undefined ? `export OS_CLIENT_CONFIG_FILE=${settings.paths.data}/clouds.yaml   (as root; your own clouds.yaml was left alone)` : `(clouds 'bothy', the administrator, and 'bothy-demo' are in ${config})`}
           openstack --os-cloud ${config === undefined ? 'bothy' : 'bothy-demo'} server list
Console    openstack --os-cloud ${config === undefined ? 'bothy' : 'bothy-demo'} console log show ${facts.serverName}
Next       sudo ./bothy status${where}   doctor   logs   down   down --purge`);
}
