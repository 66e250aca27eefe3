/** Metadata as callers give it, held to its limits. Pure. */
import { CloudError } from '../../contract/errors.ts';
import { isStorable, objectStoreLimits as limits } from './limits.ts';

/** @throws CloudError `invalid` */
export function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  const entries = Object.entries(metadata);
  if (entries.length > limits.metadataCount) throw tooLarge('count', limits.metadataCount);
  let whole = 0;
  for (const [name, value] of entries) {
    if (!isStorable(name) || !isStorable(value)) {
      throw new CloudError('invalid', 'object_text_not_storable', { what: 'metadata' });
    }
    const [nameBytes, valueBytes] = [Buffer.byteLength(name), Buffer.byteLength(value)];
    if (nameBytes > limits.metadataNameBytes) throw tooLarge('name', limits.metadataNameBytes);
    if (valueBytes > limits.metadataValueBytes) throw tooLarge('value', limits.metadataValueBytes);
    whole += nameBytes + valueBytes;
  }
  if (whole > limits.metadataWholeBytes) throw tooLarge('whole', limits.metadataWholeBytes);
}

/** Lists tell it of ten thousand objects. @throws CloudError `invalid` */
export function checkContentType(contentType: string): void {
  if (Buffer.byteLength(contentType) > limits.contentTypeBytes) throw tooLarge('value', limits.contentTypeBytes);
}

export function checkAcl(acl: string): void {
  if (!isStorable(acl)) throw new CloudError('invalid', 'object_text_not_storable', { what: 'acl' });
  if (Buffer.byteLength(acl) > limits.aclBytes) throw tooLarge('acl', limits.aclBytes);
}

/** What is there, changed: a null takes a key away. */
export function merged<T>(
  known: Readonly<Record<string, T>>,
  change: Readonly<Record<string, T | null | undefined>> = {},
): Record<string, T> {
  const all = { ...known, ...change };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, T] => entry[1] != null));
}

export const tooLarge = (
  what: 'count' | 'name' | 'value' | 'whole' | 'acl' | 'settings',
  maximum: number,
): CloudError => new CloudError('invalid', 'object_metadata_too_large', { what, maximum });
