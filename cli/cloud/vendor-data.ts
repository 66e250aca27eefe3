/** What guests are told by the operator: out of a file the same to each, by services what they say of each (Nova's vendordata). */
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { VendorTarget } from '../../host/metadata/index.ts';
import { CommandError } from '../command.ts';

/** As much as user data. */
const maxVendorData = 65_535;
const maxTargets = 8;

/** @throws CommandError where the file can't be read, or is no JSON object */
export function vendorDataOf(file: string): Record<string, unknown> {
  if (file === '') return {};
  try {
    const text = readFileSync(file, 'utf8');
    if (text.length > maxVendorData) throw new Error(`it has more than ${maxVendorData} characters`);
    const found: unknown = JSON.parse(text);
    if (typeof found !== 'object' || found === null || Array.isArray(found)) throw new Error('it is no JSON object');
    return found as Record<string, unknown>;
  } catch (error) {
    const cure = 'mend the file, or empty vendor_data in bothy.conf';
    throw new CommandError(`the vendor data in ${file} can't be used: ${(error as Error).message}`, cure);
  }
}

/** Nova's form, NAME@URL with commas between. Undefined where it is something else. */
export function vendorTargets(value: string): VendorTarget[] | undefined {
  const parts = value.split(',').flatMap((part) => part.trim() || []);
  const targets = parts.map((part) => {
    const at = part.indexOf('@');
    return { name: part.slice(0, Math.max(at, 0)), url: part.slice(at + 1) };
  });
  const names = new Set(targets.map(({ name }) => name));
  const good = targets.length <= maxTargets && names.size === targets.length && targets.every(isTarget);
  return good ? targets : undefined;
}

/** `static` is what the file says. */
function isTarget({ name, url }: VendorTarget): boolean {
  if (!/^[^\s@]{1,64}$/u.test(name) || name === 'static' || !URL.canParse(url)) return false;
  const { protocol } = new URL(url);
  return protocol === 'http:' || protocol === 'https:';
}

export const notTargets = `NAME@http(s)://… of up to ${maxTargets} services, separated by commas; no name twice, none 'static'`;

/** @throws CommandError where the file can't be read, or has no certificate */
export function vendorCaOf(file: string): string {
  if (file === '') return '';
  const cure = 'mend the file, or empty vendor_data_ca in bothy.conf';
  try {
    const text = readFileSync(file, 'utf8');
    if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it has no PEM certificate');
    return text;
  } catch (error) {
    throw new CommandError(`the certificates in ${file} can't be used: ${(error as Error).message}`, cure);
  }
}

export const isFile = (value: string): string | undefined =>
  value === '' || isAbsolute(value) ? undefined : 'the absolute path of a file';
