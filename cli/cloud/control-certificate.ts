/** A key and certificate of control for another machine's addresses. Keeps neither. */
import { generateKeyPairSync } from 'node:crypto';
import { Authority } from '../../control/pki/authority.ts';
import { certificateRequestOf } from '../../control/pki/request.ts';
import { controlName } from '../process/control-name.ts';

const year = 365 * 86_400_000;

/** @param wish directory: the authority's */
export async function newControlCertificate(wish: {
  directory: string;
  cloudId: string;
  names: readonly string[];
}): Promise<{ certificate: string; key: string }> {
  const authority = await Authority.open(wish.directory, wish.cloudId);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const plain = wish.names.map((name) => name.trim().replace(/^\[|\]$/g, '')).filter((name) => name !== '');
  const names = [...new Set(['localhost', '127.0.0.1', '::1', ...plain])];
  const usages = ['server', 'client'] as const;
  const request = await certificateRequestOf(key);
  return { certificate: await authority.sign(request, { commonName: controlName, names, usages, lifeMs: year }), key };
}
