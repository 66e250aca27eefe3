/** The unprivileged users of this machine that Bothy's processes run as. */
import { readFileSync } from 'node:fs';
import { run } from '../run.ts';

/** Control, PostgreSQL and OVN's central part. */
export const serviceUser = 'bothy';
/** QEMU: hostile territory, so it shares a user with nothing. */
export const guestUser = 'bothy-guest';

const users = [
  { name: serviceUser, comment: 'Bothy cloud' },
  { name: guestUser, comment: 'Bothy guests' },
];

const exists = (name: string) => new RegExp(`^${name}:`, 'm').test(readFileSync('/etc/passwd', 'utf8'));

export function missingUsers(): string[] {
  return users.map((user) => user.name).filter((name) => !exists(name));
}

export async function ensureUsers(): Promise<void> {
  for (const { name, comment } of users) {
    if (exists(name)) continue;
    const args = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent'];
    await run('useradd', [...args, '--shell', '/usr/sbin/nologin', '--comment', comment, name]);
  }
}
