/** How the host process beside the cloud's authority has certificates of hosts signed. Owns the processes that sign, for as long as they run. */
import { join } from 'node:path';
import type { CertificateRequest, SignedCertificate } from '../../contract/host/index.ts';
import { Gate } from '../../control/kit/gate.ts';
import { HostFault } from '../../host/index.ts';
import { tryRun } from '../run.ts';
import { nodeFlags, sourceRoot } from './definitions.ts';

type Certify = (wish: CertificateRequest) => Promise<SignedCertificate>;

/** At once, and with those that wait: more would wait longer than control does. */
const [width, most] = [2, 10];

/** @param data where the authority is. In a process of its own: the library for it would cost this one 30 MiB for life. */
export const certifyWith =
  (data: string): Certify =>
  async (wish) => {
    const command = [...nodeFlags, join(sourceRoot, 'cli/main.ts'), 'certify', '--data', data];
    const { code, stdout, stderr } = await tryRun(process.execPath, command, {
      ...{ input: JSON.stringify(wish), timeoutMs: 12_000 },
    });
    if (code === 2) throw new HostFault('invalid', 'the request for a certificate is none');
    if (code !== 0) throw new Error(`bothy certify ended with ${code}: ${stderr.slice(-2000)}`);
    return JSON.parse(stdout) as SignedCertificate;
  };

/** Two at a time: each is a process of some 100 MiB, and a host may ask for its certificate as often as it likes. @throws HostFault `unavailable` */
export function inTurns(certify: Certify): Certify {
  const gate = new Gate(width);
  let asked = 0;
  return async (wish) => {
    if (asked >= most) throw new HostFault('unavailable', 'too many certificates are being signed; try again');
    asked++;
    try {
      return await gate.run(() => certify(wish));
    } finally {
      asked--;
    }
  };
}
