/**
 * Documents with epoch and generation, servers' and layers' alike, and what a message makes of those that are held. Pure.
 *
 * Nothing leaves because it is missing: a document goes when it says that its thing is absent, and the host has said so too (`forget`). One
 * that a snapshot does not name, or names as it was before, is quarantined. An older one in an update comes from a read that was
 * overtaken: it is refused, and nothing more.
 */
import type { Unreadable } from '../../contract/host/index.ts';

interface Version {
  epoch: number;
  generation: number;
}

export interface Document<Id> extends Version {
  id: Id;
  presence: 'present' | 'absent';
  stamp?: string;
}

export interface Quarantine {
  reason: 'missing' | 'older';
  /** ISO 8601. */
  since: string;
}

type Held<Id, D> = ReadonlyMap<Id, D>;

const isOlder = (a: Version, b: Version): boolean =>
  a.epoch < b.epoch || (a.epoch === b.epoch && a.generation < b.generation);

/** Of one that does not say it, nothing is newer and nothing older. */
const versionOf = ({ epoch, generation }: Unreadable): Version | undefined =>
  epoch === null || generation === null ? undefined : { epoch, generation };

/** What comes of a message: what is in force, and what can't be read, of all kinds. */
export interface Next<Id, D> {
  documents: Map<Id, D>;
  unreadable: Map<string, Unreadable>;
}

/** What is older than what is known, read or not, changes nothing; its ids are answered. */
export function takeDocuments<Id extends string, D extends Document<Id>>(
  before: { documents: Held<Id, D>; unreadable: ReadonlyMap<string, Unreadable> },
  documents: readonly D[],
  next: Next<Id, D>,
): Id[] {
  const refused: Id[] = [];
  for (const document of documents) {
    const known = before.documents.get(document.id);
    const misread = before.unreadable.get(document.id);
    const misreadVersion = misread && versionOf(misread);
    const late = known !== undefined && isOlder(document, known);
    if (late || (misreadVersion && isOlder(document, misreadVersion))) {
      refused.push(document.id);
      if (known) next.documents.set(document.id, known);
      if (misread) next.unreadable.set(document.id, misread);
    } else {
      next.documents.set(document.id, document);
      next.unreadable.delete(document.id);
    }
  }
  return refused;
}

/** What was known of it stays; newer than that, it is the news of it. */
export function takeMisread<Id extends string, D extends Document<Id>>(
  held: Held<Id, D>,
  misread: Unreadable,
  next: Next<Id, D>,
): void {
  const known = held.get(misread.id as Id);
  const version = versionOf(misread);
  if (known) next.documents.set(known.id, known);
  if (!known || !version || !isOlder(version, known)) next.unreadable.set(misread.id!, misread);
}

/** What a snapshot makes of what is held: adds to `next` what it does not name, and answers who is in quarantine. */
export function quarantineMissing<Id extends string, D extends Document<Id>>(
  before: { documents: Held<Id, D>; quarantined: ReadonlyMap<Id, Quarantine> },
  snapshot: readonly D[],
  next: Map<Id, D>,
  now: string,
): Map<Id, Quarantine> {
  const quarantined = new Map<Id, Quarantine>();
  const named = new Map(snapshot.map((document) => [document.id, document]));
  for (const [id, known] of before.documents) {
    const document = named.get(id);
    const earlier = before.quarantined.get(id);
    if (document) {
      if (isOlder(document, known)) quarantined.set(id, { reason: 'older', since: earlier?.since ?? now });
    } else if (next.has(id)) {
      // Its newest document, or one of whom nothing is known, can't be read: all is as it was.
      if (earlier) quarantined.set(id, earlier);
    } else {
      next.set(id, known);
      // What shall be absent stays so until it is, whoever has forgotten it.
      if (known.presence === 'present') quarantined.set(id, { reason: 'missing', since: earlier?.since ?? now });
    }
  }
  return quarantined;
}

/** @throws where control believes that this host holds what it does not: all must be told anew */
export function heldDocument<Id, D extends Document<Id>>(documents: Held<Id, D>, id: Id): D {
  const held = documents.get(id);
  if (held?.stamp === undefined) throw new Error('control calls unchanged what is not held');
  return held;
}

/** For the hello: what need not be told again. Of one whose newest document can't be read, that may be readable now. */
export function stampsOf<Id extends string>(
  documents: Held<Id, Document<Id>>,
  unreadable: ReadonlyMap<string, Unreadable>,
): Record<Id, string> {
  const stamps = [...documents.values()].flatMap(({ id, stamp }) =>
    stamp === undefined || unreadable.has(id) ? [] : [[id, stamp] as const],
  );
  return Object.fromEntries(stamps) as Record<Id, string>;
}

/** Only what shall be absent may be forgotten: a late word must not take what came back. */
export function forgetDocuments<Id extends string, D extends Document<Id>>(
  before: { documents: Held<Id, D>; quarantined: ReadonlyMap<Id, Quarantine> },
  ids: readonly Id[],
): { documents: Map<Id, D>; quarantined: Map<Id, Quarantine> } {
  const documents = new Map(before.documents);
  const quarantined = new Map(before.quarantined);
  for (const id of ids) {
    if (documents.get(id)?.presence !== 'absent') continue;
    documents.delete(id);
    quarantined.delete(id);
  }
  return { documents, quarantined };
}

/** Who has come into quarantine, and who out of it. */
export function quarantineNews<Id>(
  before: ReadonlyMap<Id, Quarantine>,
  after: ReadonlyMap<Id, Quarantine>,
): { fresh: object[]; lifted: Id[] } {
  const fresh = [...after].filter(([id]) => !before.has(id));
  return {
    fresh: fresh.map(([id, { reason }]) => ({ id, reason })),
    lifted: [...before.keys()].filter((id) => !after.has(id)),
  };
}
