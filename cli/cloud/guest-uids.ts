/**
 * The numbers that guests of this cloud run as on this machine, a user each. They have no entries in /etc/passwd: nobody logs
 * in as them. By default 4096 of those that systemd's list of user numbers leaves to nobody (from 0x70000000 to 2^31), chosen
 * by the cloud's tag, so that two clouds on one machine do not share any.
 *
 * @see https://github.com/systemd/systemd/blob/main/docs/UIDS-GIDS.md
 */
import { readText } from '../../control/kit/files.ts';
import { CommandError } from '../command.ts';
import type { Settings } from '../settings.ts';

export interface UidRange {
  first: number;
  count: number;
}

const nobodys = 0x7000_0000;
const perCloud = 0x1000;

export function guestUidsOf({ paths, values }: Settings): UidRange {
  const [first, last] = values.guest_uids.split('-').map(Number) as [number, number];
  if (values.guest_uids !== '') return { first, count: last - first + 1 };
  return { first: nobodys + Number.parseInt(paths.tag, 16) * perCloud, count: perCloud };
}

/** Refuses a range in which somebody else of this machine is, or that this machine (a container) does not have. */
export function checkGuestUids(settings: Settings): void {
  const range = guestUidsOf(settings);
  const name = `${range.first}-${range.first + range.count - 1}`;
  const cure = 'name a range that nobody uses as guest_uids in bothy.conf, e.g. guest_uids = 900000-903999';
  for (const file of ['/proc/self/uid_map', '/proc/self/gid_map']) {
    if (mapped(range, readText(file) ?? '')) continue;
    throw new CommandError(`this machine has no users ${name}: it is a container with fewer (${file})`, cure);
  }
  const other = ['/etc/passwd', '/etc/group', '/etc/subuid', '/etc/subgid']
    .map((file) => ({ file, who: firstWithin(range, file, readText(file) ?? '') }))
    .find(({ who }) => who !== undefined);
  if (other === undefined) return;
  throw new CommandError(`the users ${name} of guests are not free: ${other.file} gives some to '${other.who}'`, cure);
}

/** Pure. Whoever a file of users, groups or subordinate ranges gives a number of the range. */
export function firstWithin(range: UidRange, file: string, text: string): string | undefined {
  const subordinate = file.includes('/sub');
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => /^\d+$/.test(fields[subordinate ? 1 : 2] ?? ''))
    .find((fields) => {
      const first = Number(fields[subordinate ? 1 : 2]);
      const count = subordinate ? Number(fields[2] ?? 1) : 1;
      return first < range.first + range.count && first + count > range.first;
    })?.[0];
}

/** Pure. Whether every number of the range exists in this user namespace. */
export function mapped({ first, count }: UidRange, map: string): boolean {
  return map.split('\n').some((line) => {
    const [inside, , length] = line.trim().split(/\s+/).map(Number) as [number, number, number];
    return first >= inside && first + count <= inside + length;
  });
}
