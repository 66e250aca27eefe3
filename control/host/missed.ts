/**
 * The changes that came while a stream's snapshot was being read: whether it shows them is not known, so they are looked at once it
 * is out, as any change is. Of a stream that waits for its turn nothing is kept: what comes before the reading is in it.
 */
import type { Change } from '../kit/change-log/changes.ts';

/** Above this many all that the host has is compared instead. */
const maxChanges = 500;

export class Missed<Session> {
  readonly #reading = new Map<Session, Change[]>();

  begin(session: Session): void {
    this.#reading.set(session, []);
  }

  saw(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    for (const missed of this.#reading.values()) {
      for (const change of changes) if (missed.length <= maxChanges) missed.push(change);
    }
  }

  /** What the session has missed; it misses no more. */
  end(session: Session): readonly Change[] | 'many' {
    const missed = this.#reading.get(session) ?? [];
    this.#reading.delete(session);
    return missed.length > maxChanges ? 'many' : missed;
  }
}
