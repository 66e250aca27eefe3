/**
 * Which streams were told of what: so that a change finds whom it may concern without asking every host. Kept by the views
 * (view.ts) as they tell and forget; a stream that ends forgets everything.
 */
export type ToldKind = 'server' | 'port' | 'network' | 'network of a server' | 'network of a project';

export class Told<Session> {
  /** Mostly one session: a hundred thousand sets of one would be most of control's memory. */
  readonly #byKind: Readonly<Record<ToldKind, Map<string, Session | Set<Session>>>> = {
    server: new Map(),
    port: new Map(),
    network: new Map(),
    'network of a server': new Map(),
    'network of a project': new Map(),
  };

  add(kind: ToldKind, id: string, session: Session): void {
    const known = this.#byKind[kind].get(id);
    if (known instanceof Set) known.add(session);
    else if (known === undefined) this.#byKind[kind].set(id, session);
    else if (known !== session) this.#byKind[kind].set(id, new Set([known, session]));
  }

  remove(kind: ToldKind, id: string, session: Session): void {
    const known = this.#byKind[kind].get(id);
    if (known instanceof Set ? known.delete(session) && known.size === 0 : known === session)
      this.#byKind[kind].delete(id);
  }

  of(kind: ToldKind, id: string): Iterable<Session> {
    const known = this.#byKind[kind].get(id);
    return known === undefined ? [] : known instanceof Set ? known : [known];
  }

  get size(): number {
    return Object.values(this.#byKind).reduce((sum, map) => sum + map.size, 0);
  }
}
