/**
 * The password that a guest posts, as a rule made by itself and sealed with its owner's key: once, until its owner clears it. Nova's
 * handler of /openstack/<version>/password (nova/api/metadata/password.py). Keeps nothing: see GuestPasswords.
 */
import type { IncomingMessage } from 'node:http';
import { serverLimits } from '../../contract/host/limits.ts';
import type { ServerId } from '../../contract/ids.ts';
import { atLeast, openstackVersions, since } from './versions.ts';

export interface GuestPasswords {
  read(id: ServerId): Promise<string | undefined>;
  /** On disk when it resolves. False where there is another one already. */
  keep(id: ServerId, text: string): Promise<boolean>;
}

export function isPasswordPath(path: string): boolean {
  const [tree, version = '', name, ...rest] = path.split('/').filter((part) => part !== '');
  const known = version === 'latest' || (openstackVersions as readonly string[]).includes(version);
  return tree === 'openstack' && known && atLeast(version, since.password) && name === 'password' && rest.length === 0;
}

export interface PostAnswer {
  status: 200 | 400 | 409;
  body: string;
}

/** An empty one is no password: nothing is kept, as in Nova. */
export async function takePassword(
  passwords: GuestPasswords,
  id: ServerId,
  request: IncomingMessage,
): Promise<PostAnswer> {
  const text = await bodyOf(request);
  if (text === undefined) return { status: 400, body: 'not a text of at most 1020 bytes\n' };
  if (text === '') return { status: 200, body: '' };
  return (await passwords.keep(id, text)) ? { status: 200, body: '' } : { status: 409, body: 'there is one\n' };
}

/** Undefined where it is too long, or is no text that a database could keep. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length <= serverLimits.guestPasswordLength) pieces.push(piece);
  }
  if (length > serverLimits.guestPasswordLength) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(pieces));
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}
