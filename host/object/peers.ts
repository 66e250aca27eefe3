/** Blobs of another host's disks, over its HTTPS service, with this host's own certificate. Owns connections while one copying lasts. */
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { objectPaths, type StoredPlace } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import type { TlsTexts } from '../../protocols/tls/index.ts';
import { HostFault } from '../host-error.ts';

const silenceMs = 30_000;

export class PeerBlobs {
  readonly #host: { id: HostId; url: string };
  readonly #agent: Agent;

  constructor(host: { id: HostId; url: string }, tls: TlsTexts) {
    this.#host = host;
    // Of a session that is taken up again Node.js has the certificate checked by nobody.
    this.#agent = new Agent({ ...tls, keepAlive: true, maxSockets: 4, maxCachedSessions: 0, minVersion: 'TLSv1.3' });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The blob's bytes as that host verifies them; the stream errs where they don't come whole. @throws HostFault */
  open(disk: string, { blob, intent, file, offset, length }: StoredPlace): Promise<IncomingMessage> {
    const query = new URLSearchParams({ disk, intent, file, offset: String(offset), length: String(length) });
    const url = new URL(`${objectPaths.blob(blob)}?${query}`, this.#host.url);
    // Addresses of hosts change and are not in their certificates: whose it is counts.
    const checkServerIdentity = (_name: string, { subject }: { subject?: { CN?: string | string[] } }) =>
      subject?.CN === this.#host.id ? undefined : new Error(`the certificate names ${subject?.CN}`);
    return new Promise((resolve, reject) => {
      const fail = (cause: Error) =>
        reject(new HostFault('unavailable', `host ${this.#host.id} does not give the blob`, { cause }));
      const call = request(url, { agent: this.#agent, checkServerIdentity, timeout: silenceMs });
      call.on('timeout', () => call.destroy(new Error('the source fell silent')));
      call.on('error', fail);
      call.on('response', (response) => {
        const { statusCode, headers } = response;
        if (statusCode === 200 && Number(headers['content-length']) === length) return resolve(response);
        response.resume();
        if (statusCode === 409) reject(new HostFault('corrupt', `host ${this.#host.id} finds the blob corrupt`));
        else if (statusCode === 404) reject(new HostFault('not_found', `host ${this.#host.id} has no such blob`));
        else fail(new Error(`it answered ${statusCode}`));
      });
      call.end();
    });
  }
}
