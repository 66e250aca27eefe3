/** The certificate of a machine that has joined: control has it renewed, asked under the one before. The key stays. */
import { existsSync, readFileSync } from 'node:fs';
import { writeWhole } from '../../control/kit/files.ts';
import { isDue } from '../../control/pki/renewal.ts';
import { CommandError } from '../command.ts';
import type { CloudPaths, Settings } from '../settings.ts';
import { askControl, refusalOf } from './control-client.ts';
import type { JoinedCloud } from './identity.ts';
import { cloudLayout } from './layout.ts';

/** How this machine speaks to control. @throws CommandError where its join was stopped before it had all that the cloud gave */
export function hostCredentials(paths: CloudPaths): { ca: string; certificate: { cert: string; key: string } } {
  const { authorityFile, hostCertificate } = cloudLayout(paths);
  const read = (file: string) => readFileSync(file, 'utf8');
  if (!existsSync(hostCertificate.certificate))
    throw new CommandError(
      'this machine has not joined to the end',
      "run the same 'bothy join' again, then this command",
    );
  return {
    ca: read(authorityFile),
    certificate: { cert: read(hostCertificate.certificate), key: read(hostCertificate.key) },
  };
}

/** Answers the files that are new. @throws CommandError where control is away, or knows the host no more */
export async function renewJoined(
  { paths }: Pick<Settings, 'paths'>,
  { controlUrl: url }: Pick<JoinedCloud, 'controlUrl'>,
  now = Date.now(),
): Promise<string[]> {
  const { hostCertificate } = cloudLayout(paths);
  const credentials = hostCredentials(paths);
  if (!isDue(credentials.certificate.cert, now)) return [];
  const { certificateRequestOf } = await import('../../control/pki/request.ts');
  const csr = await certificateRequestOf(credentials.certificate.key);
  const answer = await askControl({
    ...{ method: 'POST' as const, url, path: '/native/v1/hosts/self/certificate', ...credentials, body: { csr } },
  });
  const refusal = refusalOf(answer);
  if (refusal)
    throw new CommandError(
      `the cloud renews no certificate: ${refusal.message}`,
      refusal.reason === 'host_not_found'
        ? "what is left of it here goes by 'bothy leave'; then join anew: 'bothy token' on its first machine"
        : 'it is tried again while the host runs',
    );
  writeWhole(hostCertificate.certificate, answer.body.certificate, { mode: 0o644 });
  return [hostCertificate.certificate];
}
