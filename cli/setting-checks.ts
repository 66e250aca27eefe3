/** What values of settings must be: each answers undefined where one is right, else what it must be. Pure. */
import { isIP } from 'node:net';

export const port = (value: string) =>
  /^\d+$/.test(value) && +value > 0 && +value < 65536 ? undefined : 'a port number, 1 to 65535';
export const days = (value: string) =>
  /^\d{1,4}$/.test(value) && +value > 0 && +value <= 3650 ? undefined : 'days, 1 to 3650';
export const number = (most: number) => (value: string) =>
  /^\d{1,9}$/.test(value) && +value <= most ? undefined : `a whole number, 0 to ${most}`;
export const seconds = (value: string) =>
  /^\d{1,5}$/.test(value) && +value >= 10 && +value <= 86_400 ? undefined : 'seconds, 10 to 86400';
export const regularExpression = (value: string) => {
  try {
    new RegExp(value, 'u');
    return undefined;
  } catch {
    return 'a regular expression (as JavaScript has them)';
  }
};
export const oneOf =
  (...values: string[]) =>
  (value: string) =>
    values.includes(value) ? undefined : `one of ${values.join(', ')}`;
export const cidr = (family: 4 | 6, longest: number, example: string) => (value: string) => {
  if (value === '' && family === 6) return undefined;
  const [base = '', length = '', ...rest] = value.split('/');
  const whole = rest.length === 0 && isIP(base) === family && /^\d{1,3}$/.test(length);
  if (!whole || +length < 8 || +length > longest) return `an IPv${family} range such as ${example}`;
  const hostBits = BigInt((family === 4 ? 32 : 128) - +length);
  return addressBits(base, family) % (1n << hostBits) === 0n
    ? undefined
    : `a range's first address, such as ${example}`;
};

function addressBits(text: string, family: 4 | 6): bigint {
  if (family === 4) return text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  // A dotted tail does not come up in a prefix; URL writes the address in its shortest form.
  const [head = '', tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string | undefined) => (part ?? '').split(':').filter((group) => group !== '');
  const gap = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...new Array<string>(gap).fill('0'), ...groups(tail)];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

export function uidRange(value: string): string | undefined {
  const [, first, last] = /^(\d{1,10})-(\d{1,10})$/.exec(value)?.map(Number) ?? [];
  const good = first !== undefined && last !== undefined && first >= 1000 && last - first >= 15 && last < 2 ** 31 - 1;
  return good ? undefined : 'FIRST-LAST, at least 16 user numbers from 1000 to 2147483646, such as 900000-903999';
}

/** FIRST-LAST; undefined where it is none. */
export function portsOf(value: string): { first: number; last: number } | undefined {
  const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(value)?.map(Number) ?? [];
  return first !== undefined && last !== undefined && first >= 1 && last > first && last < 2 ** 16
    ? { first, last }
    : undefined;
}

export const portRange = (value: string): string | undefined =>
  portsOf(value) ? undefined : 'FIRST-LAST, two ports or more, such as 49152-49215';

export function isRange(value: string): boolean {
  const [base = '', length, ...rest] = value.split('/');
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(base)]!;
  return rest.length === 0 && most > 0 && (length === undefined || (/^\d{1,3}$/.test(length) && +length <= most));
}

/** A name server: an address, with a port behind an @ where that is not 53. */
export function isServer(value: string): boolean {
  const [address = '', number, ...rest] = value.split('@');
  return rest.length === 0 && isIP(address) !== 0 && (number === undefined || port(number) === undefined);
}

/** Of this machine also without TLS. */
export function isPage(value: string): boolean {
  const { protocol, hostname } = URL.parse(value) ?? {};
  return protocol === 'https:' || (protocol === 'http:' && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname ?? ''));
}

export const address = (value: string) =>
  isIP(value) === 0 ? 'an IP address; ::, 0.0.0.0 or one of this machine' : undefined;
/** Also part of OVN's list of bridges, and of network_bandwidth. */
export const physicalNetwork = (value: string) =>
  value !== 'tunnels' && /^[^\s:,]{0,64}$/.test(value)
    ? undefined
    : 'up to 64 characters without blanks, colons and commas, but not tunnels';
export const card = (value: string) =>
  value === '' || /^[^\s/:]{1,15}$/.test(value) ? undefined : 'the name of a network card, as ip link shows it';

/** CARD:ADDRESS/LENGTH; undefined where it is none. */
export function tunnelCard(value: string): { device: string; address: string } | undefined {
  const [, device, base, length] = /^([^\s/:]{1,15}):([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(value) ?? [];
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(base ?? '')]!;
  return device !== undefined && Number(length) <= most ? { device, address: `${base}/${length}` } : undefined;
}
