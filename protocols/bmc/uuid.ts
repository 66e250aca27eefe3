/**
 * The UUID of a machine, whose bytes come in several orders. The operating system says it as SMBIOS 2.6 has it: the first three fields with their bytes in reverse. Firmware before that, and some service
 * processors, have all in the order of their digits (RFC 4122). IPMI's own specification (2.0, 20.8) reverses all sixteen, which few makers do, and some reverse what lies in SMBIOS. Pure.
 */

const hyphened = (hex: string): string => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
const reversed = (hex: string): string => (hex.match(/../g) ?? []).reverse().join('');

/** The same bytes with those of the first three fields in reverse. @param uuid in lower case */
export function swapped(uuid: string): string {
  const [low = '', middle = '', high = '', ...rest] = uuid.split('-');
  return [reversed(low), reversed(middle), reversed(high), ...rest].join('-');
}

/** So few different bytes are no number of one machine, and another order of them might be another one's. */
const fewestBytes = 6;

/** What firmware says where nobody has put a number in (AMI's and others'), in the orders in which it is seen: many machines have these. */
const nobodys: ReadonlySet<string> = new Set([
  ...['03000200040005000006000700080009', '00020003000400050006000700080009'],
  ...['123456781234567890abcddeefaabbcc', '785634123412785690abcddeefaabbcc'],
]);

/** @param digits of its bytes, in lower case */
export const isMachines = (digits: string): boolean =>
  !nobodys.has(digits) && new Set(digits.match(/../g)).size >= fewestBytes;

/** What sixteen bytes may mean, what SMBIOS means first. Undefined: no machine's own. */
export function uuidsOf(bytes: Uint8Array): [string, ...string[]] | undefined {
  const digits = Buffer.from(bytes).toString('hex');
  if (bytes.length !== 16 || !isMachines(digits) || !isMachines(reversed(digits))) return undefined;
  const [plain, backwards] = [hyphened(digits), hyphened(reversed(digits))];
  return [swapped(plain), plain, backwards, swapped(backwards)];
}
