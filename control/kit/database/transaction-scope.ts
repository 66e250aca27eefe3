/**
 * Knows whether this code runs in a transaction. A transaction holds rows, a connection of the pool and the change log's horizon; who
 * asks a host meanwhile holds all of that for as long as the host pleases. Clients of the network therefore refuse to work in one.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

interface Scope {
  open: boolean;
}

const scopes = new AsyncLocalStorage<Scope>();

/** Runs a transaction's work. What it leaves running is outside as soon as it has ended. */
export async function inTransaction<T>(work: () => Promise<T>): Promise<T> {
  const scope = { open: true };
  try {
    return await scopes.run(scope, work);
  } finally {
    scope.open = false;
  }
}

/** Throws in a transaction: a defect of the caller. */
export function refuseInTransaction(what: string): void {
  if (scopes.getStore()?.open) throw new Error(`${what} within a transaction`);
}
