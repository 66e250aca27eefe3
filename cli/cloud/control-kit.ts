/**
 * What another machine of the cloud needs to run control as well: the configuration of the first one's, with the database's address and the sealing keys in it, and a
 * key and certificate of control for its own addresses. Whoever has it is the cloud, so it goes by the administrator's own hand, over no door of the cloud's,
 * and lies where root alone reads. Owns `<data>/secrets/control-kit.json` on the machine that has taken it.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { readText, writeWhole } from '../../control/kit/files.ts';
import { userIds } from '../../engine/process.ts';
import { CommandError } from '../command.ts';
import { serviceUser } from '../install/users.ts';
import type { ControlConfiguration } from '../process/configuration.ts';
import { dataArgument, type Settings } from '../settings.ts';
import { bracketed } from './addresses.ts';
import { type CloudIdentity, readIdentity } from './identity.ts';
import { cloudLayout } from './layout.ts';

export interface ControlKit {
  /** The host that it was made for. */
  hostId: string;
  configuration: ControlConfiguration;
  /** PEM texts. */
  certificate: string;
  key: string;
}

export const hasKit = (settings: Pick<Settings, 'paths'>): boolean =>
  existsSync(cloudLayout(settings.paths).controlKitFile);

/** Undefined where this machine has taken none. @throws CommandError where it is damaged */
export function readKit({ paths }: Pick<Settings, 'paths'>): ControlKit | undefined {
  const text = readText(cloudLayout(paths).controlKitFile);
  return text === undefined ? undefined : parseKit(text);
}

/** @throws CommandError where it is none */
export function parseKit(text: string): ControlKit {
  try {
    const kit = JSON.parse(text) as ControlKit;
    const { hostId, configuration, certificate, key } = kit;
    const texts = [hostId, configuration.cloudId, configuration.databaseUrl, certificate, key];
    if (texts.every((each) => typeof each === 'string') && Array.isArray(configuration.sealingKeys)) {
      new X509Certificate(certificate);
      return kit;
    }
  } catch {
    // Said below.
  }
  throw new CommandError(
    'that is no kit of control',
    "have one made by 'bothy controls --give NAME' on the first machine, and give it whole",
  );
}

/** @throws CommandError where it is none, or not for this machine */
export function kitForHere({ paths }: Pick<Settings, 'paths'>, text: string): ControlKit {
  const kit = parseKit(text);
  requireKitFits(paths, readIdentity(paths), kit);
  return kit;
}

/** Takes it for the next `bothy up`. @param kit {@link kitForHere} */
export function takeKit({ paths }: Pick<Settings, 'paths'>, kit: ControlKit): void {
  const { apiCertificate, controlKitFile, secrets } = cloudLayout(paths);
  mkdirSync(secrets, { recursive: true, mode: 0o700 });
  writeWhole(apiCertificate.key, kit.key, { mode: 0o600, owner: userIds(serviceUser) });
  writeWhole(apiCertificate.certificate, kit.certificate, { mode: 0o644 });
  // The last: with it this machine is one that runs control.
  writeWhole(controlKitFile, `${JSON.stringify(kit, null, 2)}\n`, { mode: 0o600 });
}

function requireKitFits(paths: Settings['paths'], identity: CloudIdentity | undefined, kit: ControlKit): void {
  if (!identity?.joined)
    throw new CommandError(
      identity ? 'control runs here already' : `this machine is no host of a cloud (${paths.data})`,
      identity ? 'take the kit on the machine that it was made for' : "join first: 'bothy token' on the first machine",
    );
  const { cloudId, hostId } = identity;
  if (kit.configuration.cloudId !== cloudId || kit.hostId !== hostId)
    throw new CommandError(
      'the kit was made for another machine',
      `have one made for this one: bothy controls --give '${identity.joined.hostName}', on the first machine`,
    );
}

/** This machine runs no control any more, from the next `bothy up` on. */
export function dropKit({ paths }: Pick<Settings, 'paths'>): void {
  const { apiCertificate, controlKitFile, controlConfiguration } = cloudLayout(paths);
  for (const file of [controlKitFile, apiCertificate.key, apiCertificate.certificate, controlConfiguration])
    rmSync(file, { force: true });
}

/** What control on this machine is told: what the first one's is, but for what is this machine's. */
export function kitConfiguration({ paths, values }: Settings, identity: CloudIdentity, kit: ControlKit) {
  const layout = cloudLayout(paths);
  const { address, hostName } = identity.joined!;
  return {
    ...kit.configuration,
    listen: { address: values.listen, port: Number(values.port) },
    ownUrl: `https://${bracketed(address)}:${values.port}`,
    tls: { ...layout.apiCertificate, ca: layout.authorityFile },
    // Where OVN's databases are another control projects.
    northbound: '',
    healthSocket: layout.controlHealthSocket,
    localHost: { id: identity.hostId, name: hostName, socket: layout.hostSocket },
  } satisfies ControlConfiguration;
}

/**
 * For a host of this cloud, by name. To be called on the first machine, while the cloud is up.
 * @throws CommandError where that machine could not use it
 */
export async function makeKit(settings: Settings, name: string): Promise<ControlKit> {
  const { paths, values } = settings;
  const layout = cloudLayout(paths);
  const identity = readIdentity(paths)!;
  if (values.database_url === '')
    throw new CommandError(
      'the database of this cloud is its private one, which no other machine reaches',
      `move it to a PostgreSQL that both reach, and name that as 'database_url' in ${paths.settingsFile} (docs/runbook-several-controls.md)`,
    );
  const text = readText(layout.controlConfiguration);
  if (text === undefined)
    throw new CommandError('the cloud is not up', `sudo ./bothy up --detach${dataArgument(paths)}`);
  const configuration = JSON.parse(text) as ControlConfiguration;
  const hosts = await endpointsOf(configuration.databaseUrl);
  const host = hosts.find((each) => each.name === name);
  if (!host || host.id === identity.hostId)
    throw new CommandError(
      host ? `control runs on ${name} already` : `no host of this cloud is called ${name}, or it has never connected`,
      `others are: ${hosts.flatMap((each) => (each.id === identity.hostId ? [] : each.name)).join(', ') || "none; see 'bothy token'"}`,
    );
  const authority = { id: identity.hostId, url: hosts.find(({ id }) => id === identity.hostId)?.url ?? '' };
  const { newControlCertificate } = await import('./control-certificate.ts');
  const names = [new URL(host.url).hostname, new URL(configuration.publicUrl).hostname, ...values.names.split(',')];
  const pair = await newControlCertificate({ directory: layout.certificates, cloudId: identity.cloudId, names });
  return { hostId: host.id, configuration: { ...configuration, authority }, ...pair };
}

async function endpointsOf(databaseUrl: string): Promise<{ id: string; name: string; url: string }[]> {
  const { connect } = await import('../../control/kit/database/members.ts');
  const { Secret } = await import('../../contract/secret.ts');
  const client = await connect({ url: new Secret(databaseUrl), applicationName: 'bothy controls' });
  try {
    return (await client.query(`select id, name, facts ->> 'url' as url from host where facts ? 'url' order by name`))
      .rows;
  } finally {
    await client.end();
  }
}
