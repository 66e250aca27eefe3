/**
 * Which streams were told of what: so that a change finds whom it may concern without asking every host. Kept by the views
 * (view.ts) as they tell and forget; a stream that ends forgets everything.
 */
export type ToldKind = 'server' | 'port' | 'network' | 'network of a server';

export class Told<Session> {
  readonly #byKind: Readonly<Record<ToldKind, Map<string, Set<Session>>>> = {
    server: new Map(),
    port: new Map(),
    network: new Map(),
    'network of a server': new Map(),
  };

  add(kind: ToldKind, id: string, session: Session): void {
    const sessions = this.#byKind[kind].get(id);
    if (sessions) sessions.add(session);
    else this.#byKind[kind].set(id, new Set([session]));
  }

  remove(kind: ToldKind, id: string, session: Session): void {
    const sessions = this.#byKind[kind].get(id);
    if (sessions?.delete(session) && sessions.size === 0) this.#byKind[kind].delete(id);
  }

  of(kind: ToldKind, id: string): Iterable<Session> {
    return this.#byKind[kind].get(id) ?? [];
  }

  get size(): number {
    return Object.values(this.#byKind).reduce((sum, map) => sum + map.size, 0);
  }
}
