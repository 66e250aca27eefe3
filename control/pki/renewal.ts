/** When a certificate is due: light enough for a process that only watches. Pure. */
import { X509Certificate } from 'node:crypto';

/** A third of its life is left, or less. @throws where the text is no certificate */
export function isDue(pem: string | Buffer, now = Date.now()): boolean {
  const certificate = new X509Certificate(pem);
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  return now >= to - (to - from) / 3;
}
