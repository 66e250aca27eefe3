/** The demo's steps in the cloud, from the first login to the guest's answer. */
import { join } from 'node:path';
import { addressIn } from '../cloud/addresses.ts';
import { HttpClient } from '../cloud/http.ts';
import { cloudLayout } from '../cloud/layout.ts';
import type { Settings } from '../settings.ts';
import { step } from '../terminal.ts';
import type { GuestImage } from './guest-image.ts';
import { OpenStack } from './openstack.ts';
import * as resources from './resources.ts';
import { createServer, giveFloatingIp, login } from './server.ts';

export const demoName = resources.demoName;

export interface Outcome {
  /** Of the user `demo`. */
  password: string;
  serverName: string;
  address: string;
  keyFile: string;
  /** What the guest said of itself. */
  greeting: string;
}

interface Given {
  publicUrl: string;
  adminPassword: string;
  guest: GuestImage;
}

export async function playDemo(settings: Settings, given: Given): Promise<Outcome> {
  const http = new HttpClient(join(settings.paths.data, 'ca.pem'));
  const directory = join(settings.paths.data, 'demo');
  const authUrl = `${given.publicUrl}/identity/v3`;
  const password = resources.demoPassword(cloudLayout(settings.paths).secrets);
  const credentials = { authUrl, user: demoName, password, project: demoName };
  try {
    const parts = await prepareAsAdmin(http, settings, { ...given, authUrl, password });
    const user = await step('log in as demo', () => OpenStack.login(http, credentials));
    const networkId = await step('network, subnets and router', () => resources.ensureNetwork(user, parts.externalId));
    await step('security group: SSH and ping', () => resources.ensureSecurityGroup(user));
    const keyFile = await step('key pair', () => resources.ensureKeyPair(user, directory));
    const server = await step(
      'server',
      (progress) => createServer(user, { ...parts, networkId }, progress),
      (made) => `${made.name} is ACTIVE`,
    );
    const give = () => giveFloatingIp(user, parts.externalId, server.portId);
    const address = await step('floating IP', give, (ip) => ip);
    const target = { server, address, keyFile, directory };
    const greeting = await step('log in over SSH', (progress) => login(user, target, progress));
    return { password, serverName: server.name, address, keyFile, greeting };
  } finally {
    http.close();
  }
}

/** What only the administrator may make. */
async function prepareAsAdmin(
  http: HttpClient,
  settings: Settings,
  given: Given & { authUrl: string; password: string },
): Promise<{ imageId: string; flavorId: string; externalId: string }> {
  const credentials = { authUrl: given.authUrl, user: 'admin', password: given.adminPassword, project: 'admin' };
  const admin = await step('log in as admin', () => OpenStack.login(http, credentials));
  await step('project, user and role', () => resources.ensureProjectAndUser(admin, given.password));
  const image = await step(
    'image',
    (progress) => resources.ensureImage(admin, given.guest, progress),
    (made) => (made.uploaded ? 'uploaded' : 'there already'),
  );
  const flavorId = await step('flavor', () => resources.ensureFlavor(admin));
  const cidr = settings.values.external_cidr;
  const external = { cidr, gateway: addressIn(cidr, 1) };
  const externalId = await step('external network', () => resources.ensureExternalNetwork(admin, external));
  return { imageId: image.id, flavorId, externalId };
}
