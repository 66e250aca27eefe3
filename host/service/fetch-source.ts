/** Reading an image from another host's service, with this host's own certificate. */

import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { parseId } from '../../contract/ids.ts';
import type { TlsTexts } from '../../protocols/tls/index.ts';
import type { OpenSource } from '../image/fetch.ts';

const silenceMs = 30_000;

export function httpsSource(tls: TlsTexts): {
  open: OpenSource;
  /** For connections to come. */
  renew(tls: TlsTexts): void;
  close(): void;
} {
  const agent = new Agent({ ...tls, keepAlive: false, minVersion: 'TLSv1.3' });
  const open: OpenSource = (url, offset, signal) =>
    new Promise((resolve, reject) => {
      const headers = offset > 0 ? { range: `bytes=${offset}-` } : {};
      // Addresses of hosts change and are not in their certificates; that it is a host's is what counts, the bytes are checked.
      const checkServerIdentity = (_name: string, certificate: { subject?: { CN?: string | string[] } }) =>
        parseId(String(certificate.subject?.CN)) ? undefined : new Error('the certificate is not a host’s');
      const call = request(url, { agent, headers, signal, checkServerIdentity, timeout: silenceMs });
      call.on('timeout', () => call.destroy(new Error('the source fell silent')));
      call.on('error', reject);
      call.on('response', (response: IncomingMessage) => {
        const partial = response.statusCode === 206;
        if (!partial && response.statusCode !== 200) {
          response.resume();
          reject(new Error(`the source answered ${response.statusCode}`));
        } else resolve({ body: response, offset: partial ? offset : 0 });
      });
      call.end();
    });
  return { open, renew: (renewed) => void Object.assign(agent.options, renewed), close: () => agent.destroy() };
}
