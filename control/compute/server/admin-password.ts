/**
 * A guest's first password: made here or given by the caller, told to the host for the config drive, forgotten as soon as the guest
 * has run. Without a config drive nothing could take it to the guest, so nothing is kept, as in Nova.
 */
import { randomInt } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { Secret } from '../../../contract/secret.ts';
import type { Tx } from '../../kit/database/database.ts';

/** Nova's: without characters that look alike; at least one of each. */
const alphabets = ['23456789', 'ABCDEFGHJKLMNPQRSTUVWXYZ', 'abcdefghijkmnopqrstuvwxyz'];
const passwordLength = 12;

const oneOf = (characters: string): string => characters[randomInt(characters.length)]!;

export function newAdminPassword(): Secret {
  const characters = [...alphabets.map(oneOf)];
  while (characters.length < passwordLength) characters.push(oneOf(alphabets.join('')));
  for (let last = characters.length - 1; last > 0; last--) {
    const other = randomInt(last + 1);
    [characters[last], characters[other]] = [characters[other]!, characters[last]!];
  }
  return new Secret(characters.join(''));
}

/** Part of the statement that makes servers: `made` has their ids. */
export const keepAdminPassword = (password: Secret | null): RawBuilder<unknown> => sql`
  insert into server_admin_password (server_id, password)
  select id, ${password?.reveal() ?? null}::text from made where ${password?.reveal() ?? null}::text is not null`;

/** For a guest that boots anew from other disks. */
export async function replaceAdminPassword(tx: Tx, serverId: string, password: Secret): Promise<void> {
  await sql`insert into server_admin_password (server_id, password) values (${serverId}, ${password.reveal()})
    on conflict (server_id) do update set password = excluded.password`.execute(tx);
}

/** Part of the statement that records reports of guests that run as asked. */
export const forgetAdminPasswords = (ids: readonly string[]): RawBuilder<unknown> =>
  sql`delete from server_admin_password where server_id = any(${[...ids]}::uuid[])`;
