/**
 * The certificates of a cloud's own processes: which there are, and for which names. Made with each start, and renewed while
 * the cloud runs; the processes take new files without a restart (protocols/tls).
 */
import { Authority, type LeafFiles } from '../../control/pki/authority.ts';
import { userIds } from '../../engine/process.ts';
import { serviceUser } from '../install/users.ts';
import type { Settings } from '../settings.ts';
import { bracketed, mainAddress, ownNames } from './addresses.ts';
import type { CloudIdentity } from './identity.ts';
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
  if (identity.joined) return joinedCertificates(settings);
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
    api: await authority.ensure({ name: 'api', commonName: 'bothy-control', names, usages, owner }),
    host: await authority.ensure({ name: 'host', commonName: identity.hostId, names, usages }),
  };
}

/** Those that the cloud has given; they are renewed by asking it (host-certificate.ts). */
function joinedCertificates({ paths }: Settings): Certificates {
  const { authorityFile: ca, hostCertificate } = cloudLayout(paths);
  return { ca, host: { ...hostCertificate, renewed: false } };
}

export async function publicUrlOf({ values }: Settings): Promise<string> {
  if (values.public_url !== '') return values.public_url;
  const everywhere = values.listen === '::' || values.listen === '0.0.0.0';
  const address = everywhere ? ((await mainAddress()) ?? '127.0.0.1') : values.listen;
  return `https://${bracketed(address)}:${values.port}`;
}

const hostOf = (url: string) => new URL(url).hostname.replace(/^\[|\]$/g, '');
