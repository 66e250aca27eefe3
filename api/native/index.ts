/** The native dialect at /native/v1: what OpenStack's APIs have no words for. See README.md. */
import type { FastifyInstance } from 'fastify';
import type { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import type { Database } from '../../control/kit/database/database.ts';
import { speakFaults } from '../openstack/common/faults.ts';
import { refuseUnstorableText } from '../openstack/common/input.ts';
import type { Dialect } from '../server.ts';
import { authenticateNative, type NativeAuthenticator } from './caller.ts';
import { changeRoutes } from './changes.ts';
import { nativeFaults } from './faults.ts';
import { operationRoutes } from './operations.ts';

export interface NativeDeps {
  identity: NativeAuthenticator;
  database: Database;
  feed: Pick<ChangeFeed, 'subscribe'>;
  /** For tests. */
  watch?: { keepaliveMs?: number; stalledMs?: number };
}

export function nativeDialect(deps: NativeDeps): Dialect {
  return {
    prefix: '/native',
    async plugin(app: FastifyInstance) {
      speakFaults(app, nativeFaults);
      authenticateNative(app, deps.identity);
      refuseUnstorableText(app);
      app.get('/v1', { config: { open: true } }, () => ({
        version: 'v1',
        links: {
          changes: '/native/v1/changes',
          operations: '/native/v1/operations',
        },
      }));
      changeRoutes(app, deps);
      operationRoutes(app, deps);
    },
  };
}
