/**
 * One request to the control of a cloud that runs elsewhere, as `bothy join`, `bothy leave` and the renewal of a host's certificate ask. Trusts the
 * cloud's own root and nothing else.
 */
import https from 'node:https';
import type { TLSSocket } from 'node:tls';
import { CommandError } from '../command.ts';

export interface ControlRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Of control, without a path. */
  url: string;
  path: string;
  /** The root in PEM; undefined: what is answered is trusted by nobody yet. */
  ca: string | undefined;
  /** The host's own certificate and key, in PEM. */
  certificate?: { cert: string; key: string };
  body?: object;
  /** Until the whole answer is here. */
  deadlineMs?: number;
}

export interface ControlAnswer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON, of which the caller reads what it knows
  body: any;
  /** Control's clock less this machine's, by half of the time that the answer took; undefined where it did not say. */
  clockMs: number | undefined;
  /** This machine's address on the way to control, and control's. */
  local: string;
  remote: string;
}

const patienceMs = 30_000;
const mostBytes = 256 * 1024;

/** @throws CommandError where control does not answer, or is none */
export async function askControl(request: ControlRequest): Promise<ControlAnswer> {
  try {
    return await exchange(request);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const cure = cures[code] ?? `is that the address of the cloud, does it run, and is no firewall between? (${code})`;
    throw new CommandError(`the cloud at ${request.url} cannot be asked: ${message}`, cure, { cause: error });
  }
}

const cures: Record<string, string> = {
  ERR_TLS_CERT_ALTNAME_INVALID:
    "name the cloud as its certificate does, or add the name to 'names' in its bothy.conf and start it again",
  CERT_NOT_YET_VALID: 'set the clock of this machine: apt-get install chrony, then chronyc makestep',
  CERT_HAS_EXPIRED: 'set the clocks of both machines, and see: bothy doctor, on the first',
  SELF_SIGNED_CERT_IN_CHAIN: 'that is another cloud than the one whose token or certificate this machine has',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'that is another cloud than the one whose token or certificate this machine has',
};

function exchange({ deadlineMs = patienceMs, ...asked }: ControlRequest): Promise<ControlAnswer> {
  const { method, url, path, ca, certificate, body } = asked;
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const began = Date.now();
    const request = https.request(`${url}${path}`, {
      ...{ method, ca, agent: false, minVersion: 'TLSv1.2', ...certificate },
      rejectUnauthorized: ca !== undefined,
      headers:
        text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
    });
    // Not of silence: who is in between could say a byte now and then, and the machine's lock is held meanwhile.
    const late = () => request.destroy(new Error(`no answer in ${deadlineMs / 1000} s`));
    const deadline = setTimeout(late, deadlineMs);
    request.once('close', () => clearTimeout(deadline));
    request.once('error', reject);
    request.once('response', (response) => {
      const { localAddress = '', remoteAddress = '' } = response.socket as TLSSocket;
      const date = Date.parse(response.headers.date ?? '');
      // The header has whole seconds, cut off.
      const clockMs = Number.isNaN(date) ? undefined : date + 500 - (began + Date.now()) / 2;
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        parts.push(part);
        bytes += part.length;
        if (bytes > mostBytes) response.destroy(new Error('it answers without end'));
      });
      response.once('error', reject);
      response.once('end', () => {
        try {
          const said = Buffer.concat(parts).toString('utf8');
          const answer = { status: response.statusCode!, body: said === '' ? null : JSON.parse(said), clockMs };
          resolve({ ...answer, local: plain(localAddress), remote: plain(remoteAddress) });
        } catch {
          reject(new Error('what answers there is no control of a cloud'));
        }
      });
    });
    request.end(text);
  });
}

/** ::ffff:192.0.2.1 → 192.0.2.1 */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, '');

/** The sentence of a refusal; undefined where the answer is none. */
export const refusalOf = ({ status, body }: ControlAnswer): { reason: string; message: string } | undefined =>
  status < 300
    ? undefined
    : {
        reason: String(body?.error?.reason ?? status),
        message: String(body?.error?.message ?? `it answers ${status}`),
      };
