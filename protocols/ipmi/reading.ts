/**
 * What of ipmitool's words is believed: a line in its one form, once, where it belongs; anything else is no answer. What a machine's maker, or whoever may write that, has put into its names (FRU) is said in between, and may be
 * any text: so the number of the machine is the first line of all, and its power the last one. Pure.
 */
import { BmcError, labelOf, type PowerState, plain, uuidsOf, wattsIn } from '../bmc/index.ts';

/** Of both channels. */
export interface Said {
  out: string;
  err: string;
}

const linesOf = (text: string): string[] => text.split(/\r?\n/).filter((line) => line.trim() !== '');

/** @throws BmcError `malformed` where it is said more than once */
function onlyOnce(lines: readonly string[], form: RegExp): void {
  const said = lines.filter((line) => form.test(line));
  if (said.length > 1) throw new BmcError('malformed', `${said.length} answers to one question: ${plain(said[0], 80)}`);
}

const powerForm = /^Chassis Power is (on|off)$/;
const guidForm = /^((?: [0-9a-f]{2}){16})\s*$/;

/** Of `chassis power status`, said last. @throws BmcError `malformed` */
export function powerIn({ out }: Said): PowerState {
  const lines = linesOf(out);
  onlyOnce(lines, powerForm);
  const power = powerForm.exec(lines.at(-1) ?? '')?.[1];
  if (power === undefined) throw new BmcError('malformed', 'it does not say whether the machine has power');
  return power === 'off' ? 'off' : 'on';
}

/** Of `raw 0x06 0x37` (Get System GUID), said first. Empty: it has none, or one that is no machine's own. @throws BmcError `malformed` */
export function uuidsIn({ out }: Said): readonly string[] {
  const lines = linesOf(out);
  onlyOnce(lines, guidForm);
  const bytes = guidForm.exec(lines[0] ?? '')?.[1];
  return (bytes && uuidsOf(Buffer.from(bytes.replaceAll(' ', ''), 'hex'))) || [];
}

/** It has answered that it tells none, and whether the machine has power. */
export const hasNoNumber = ({ out, err }: Said): boolean =>
  /^Unable to send RAW command \(.*\bcmd=0x37 rsp=0x[0-9a-f]{2}\)/m.test(err) && saysPower({ out, err });

/** It has answered to the end. */
export const saysPower = ({ out }: Said): boolean => powerForm.test(linesOf(out).at(-1) ?? '');

/** Of `fru print 0`: of the product, else of its board or chassis. Empty: it says none. */
export function labelIn({ out }: Said): string {
  const said = new Map<string, string>();
  for (const line of linesOf(out)) {
    const [, name, value] = /^ ([A-Z][A-Za-z ]{1,30}[A-Za-z]) +: (.+)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined && !said.has(name)) said.set(name, value);
  }
  const first = (...names: string[]) => names.map((name) => said.get(name)).find((value) => value !== undefined);
  return labelOf([
    first('Product Manufacturer', 'Board Mfg'),
    first('Product Name', 'Board Product'),
    first('Product Serial', 'Chassis Serial', 'Board Serial'),
  ]);
}

/** Of `dcmi power reading`. */
export function dcmiWattsIn({ out }: Said): number | undefined {
  if (!/^\s*Power reading state is:\s+activated\s*$/m.test(out)) return undefined;
  const form = /^\s*Instantaneous power reading:\s+(\d{1,6}) Watts\s*$/;
  const lines = linesOf(out);
  onlyOnce(lines, form);
  return wattsIn(lines.map((line) => form.exec(line)?.[1]).find((watts) => watts !== undefined));
}

/** Said under `-v` of what it asks beside, whatever comes of the rest. */
const asides = /PEN Registry|HPM\.x|Running Get|Invalid completion code received|Discovered IPMB|^RAW R/;
const denials = [
  /RAKP 2 HMAC is invalid/,
  /RAKP [24] message has invalid integrity/,
  /RAKP [24] message indicates an error : (unauthorized|invalid role)/,
  /Set Session Privilege Level to \w+ failed/,
  /failed: Insufficient privilege/,
  /rsp=0xd4\b/,
];
const noSession = /Unable to establish|Could not open socket|Address lookup/;

/** Another one may be agreed on: nothing was said yet. */
export const isOfCiphers = (error: unknown): boolean =>
  error instanceof BmcError &&
  /no matching|invalid (?:authentication|integrity|confidentiality) algorithm/.test(error.message);

/** Why a call has failed, by the words that it has left. */
export function failureOf({ err }: Said): BmcError {
  const lines = linesOf(err)
    .map((line) => plain(line, 160).trim().replace(/^> /, ''))
    .filter((line) => !asides.test(line));
  const denied = lines.find((line) => denials.some((form) => form.test(line)));
  if (denied !== undefined) return new BmcError('denied', denied);
  const why = lines[0] ?? 'ipmitool has failed without a word';
  return new BmcError(lines.some((line) => noSession.test(line)) ? 'unreachable' : 'refused', why);
}
