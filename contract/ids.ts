/**
 * Identifiers. Every id is a UUID (RFC 9562): unique across sites, never reused. Two kinds, see docs/decisions/0010: random from
 * its first digit on (`newId`), because the world shortens ids to their beginnings; or ordered by time (`newOrderedId`), for what
 * is listed, paged or partitioned by its id. Brands keep ids of different resources from being mixed up; at run time they are
 * plain strings.
 */
import { randomFillSync, randomUUID } from 'node:crypto';

declare const brand: unique symbol;
type Id<Noun extends string> = string & { readonly [brand]: Noun };

export type DomainId = Id<'domain'>;
export type ProjectId = Id<'project'>;
export type UserId = Id<'user'>;
export type RoleId = Id<'role'>;
export type ImageId = Id<'image'>;
export type NetworkId = Id<'network'>;
export type SubnetId = Id<'subnet'>;
export type PortId = Id<'port'>;
export type SecurityGroupId = Id<'security_group'>;
export type ServerId = Id<'server'>;
export type MigrationId = Id<'server_migration'>;
export type HostId = Id<'host'>;
export type VolumeId = Id<'volume'>;
export type SnapshotId = Id<'volume_snapshot'>;
export type LayerId = Id<'volume_layer'>;
export type VolumeKeyId = Id<'volume_key'>;
export type AttachmentId = Id<'volume_attachment'>;
export type BackupId = Id<'backup'>;
export type BlobId = Id<'object_blob'>;
export type ObjectIntentId = Id<'object_intent'>;
export type OperationId = Id<'operation'>;

const random = new Uint8Array(1024);
let used = random.length;
let lastMs = 0;
let counter = 0;

/**
 * A new UUIDv4 (section 5.4). Guests and clients know a port, a volume or a network by the first 8 to 20 characters of its id: two made in
 * one instant, by one process or by several, differ there.
 */
export const newId = <T extends string = string>(): T => randomUUID() as string as T;

/**
 * A new UUIDv7 (section 5.7), for what nobody but us names by its beginning. Ids made by one process are strictly increasing: the 12 bits after the time are a counter within the
 * millisecond (RFC 9562, section 6.2, method 1), so pages sorted by id follow the order of creation.
 */
export function newOrderedId<T extends string = string>(): T {
  const now = Date.now();
  if (now > lastMs) {
    lastMs = now;
    counter = 0;
  } else if (++counter > 0xfff) {
    // More than 4,096 ids in one millisecond, or the clock stepped back: borrow from the next millisecond.
    lastMs += 1;
    counter = 0;
  }
  if (used + 8 > random.length) {
    randomFillSync(random);
    used = 0;
  }
  const tail = Buffer.from(random.subarray(used, used + 8));
  used += 8;
  tail[0] = (tail[0]! & 0x3f) | 0x80;
  const time = lastMs.toString(16).padStart(12, '0');
  const end = tail.toString('hex');
  const middle = counter.toString(16).padStart(3, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${middle}-${end.slice(0, 4)}-${end.slice(4)}` as T;
}

const form = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/**
 * Reads an id as callers write it, with or without dashes and in any case (Keystone and its clients drop the dashes).
 * Answers undefined where the text is no UUID: to a caller that is the same as an id that names nothing.
 */
export function parseId<T extends string = string>(text: string): T | undefined {
  if (!form.test(text)) return undefined;
  const hex = text.replaceAll('-', '').toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as T;
}
