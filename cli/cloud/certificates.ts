/**
 * The certificates of a cloud's own processes: which there are, and for which names. Made with each start, and renewed while
 * the cloud runs; the processes take new files without a restart (protocols/tls).
 */
import { Authority, type LeafFiles } from '../../control/pki/authority.ts';
import { userIds } from '../../engine/process.ts';
import { serviceUser } from '../install/users.ts';
import { controlName } from '../process/control-name.ts';
import type { Settings } from '../settings.ts';
import { bracketed, mainAddress, ownNames } from './addresses.ts';
import { hostCredentials, renewJoined } from './host-certificate.ts';
import type { CloudIdentity, JoinedCloud } from './identity.ts';
import { cloudLayout } from './layout.ts';

export interface Certificates {
  ca: string;
  /** Undefined on a machine that has joined: control is elsewhere. */
  api?: LeafFiles;
  host: LeafFiles;
}

/** Keeps what is good, makes what is not. */
export async function ensureCertificates(
  settings: Settings,
  identity: CloudIdentity,
  publicUrl: string,
): Promise<Certificates> {
  const { paths, values } = settings;
  if (identity.joined) return joinedCertificates(settings, identity.joined);
  const authority = await Authority.open(cloudLayout(paths).certificates, identity.cloudId);
  const extra = values.names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const names = [...new Set([...ownNames(), ...extra, hostOf(publicUrl)])];
  const usages = ['server', 'client'] as const;
  const owner = userIds(serviceUser);
  return {
    ca: authority.caFile,
    api: await authority.ensure({ name: 'api', commonName: controlName, names, usages, owner }),
    host: await authority.ensure({ name: 'host', commonName: identity.hostId, names, usages }),
  };
}

/** Those that the cloud has given; where they are due, or over since the machine was off for long, it is asked first. */
async function joinedCertificates(settings: Settings, joined: JoinedCloud): Promise<Certificates> {
  const { authorityFile: ca, hostCertificate } = cloudLayout(settings.paths);
  hostCredentials(settings.paths);
  // While control is away the host waits for it, and the supervisor asks again.
  const renewed = await renewJoined(settings, joined).catch(() => []);
  return { ca, host: { ...hostCertificate, renewed: renewed.length > 0 } };
}

/** How clients reach the APIs: where several control processes serve them, whichever of them. */
export async function publicUrlOf(settings: Settings): Promise<string> {
  const { public_url: said } = settings.values;
  return said !== '' ? said : ownUrlOf(settings);
}

/** How hosts reach control on this machine. */
export async function ownUrlOf({ values }: Settings): Promise<string> {
  const everywhere = values.listen === '::' || values.listen === '0.0.0.0';
  const address = everywhere ? ((await mainAddress()) ?? '127.0.0.1') : values.listen;
  return `https://${bracketed(address)}:${values.port}`;
}

const hostOf = (url: string) => new URL(url).hostname.replace(/^\[|\]$/g, '');
