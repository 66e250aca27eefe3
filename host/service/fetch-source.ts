/** Reading an image or a layer from another host's service, with this host's own certificate. */

import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { type HostId, parseId } from '../../contract/ids.ts';
import type { TlsTexts } from '../../protocols/tls/index.ts';
import type { OpenSource } from '../image/fetch.ts';

const silenceMs = 30_000;

export function httpsSource(tls: TlsTexts): {
  open: OpenSource;
  /** For connections to come. */
  renew(tls: TlsTexts): void;
  close(): void;
} {
  // Of a session that is taken up again Node.js has the certificate checked by nobody.
  const agent = new Agent({ ...tls, keepAlive: false, maxCachedSessions: 0, minVersion: 'TLSv1.3' });
  const open: OpenSource = (url, offset, signal, from) =>
    new Promise((resolve, reject) => {
      const headers = offset > 0 ? { range: `bytes=${offset}-` } : {};
      // Addresses of hosts change and are not in their certificates: whose it is counts. Where the bytes are checked any host will do.
      const checkServerIdentity = (_name: string, certificate: { subject?: { CN?: string | string[] } }) => {
        const hostId = parseId<HostId>(String(certificate.subject?.CN));
        if (hostId === undefined) return new Error('the certificate is not a host’s');
        if (from !== undefined && hostId !== from) return new Error(`the certificate is that of host ${hostId}`);
        return undefined;
      };
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
