/** What every OpenStack dialect checks of input before its schemas do. */
import type { FastifyInstance } from 'fastify';
import { Refusal } from '../../boundary/refusal.ts';

/**
 * PostgreSQL can store neither NUL nor half a surrogate pair, and JSON can write both. Refused here, once, for bodies,
 * queries and paths, so that no statement fails on it.
 */
export function refuseUnstorableText(app: FastifyInstance): void {
  app.addHook('preValidation', async (request) => {
    if (!storable(request.params) || !storable(request.query) || !storable(request.body)) {
      throw new Refusal('invalid', 'a text of the request holds NUL or half of a surrogate pair');
    }
  });
}

function storable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed();
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return true;
  for (const [key, inner] of Object.entries(value)) if (!storable(key) || !storable(inner)) return false;
  return true;
}
