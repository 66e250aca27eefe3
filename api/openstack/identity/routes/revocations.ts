/** OS-REVOKE: what has ended tokens before their time. */
import { Type } from 'typebox';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { asks, query, type Routes, shownDomainId } from '../resource.ts';
import { tokenTime } from '../views.ts';

const contract = {
  summary: 'List what has ended tokens',
  rights: 'admin',
  query: asks('since'),
  answers: { 200: Type.Object({ events: Type.Array(a.revocationEvent), links: a.pageLinks }) },
} as const;

export const revocationRoutes: Routes = (app, deps) => {
  app.read('/v3/OS-REVOKE/events', contract, async (request) => {
    const { since } = query(request);
    const from = since === undefined ? undefined : Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(since) ? since : `${since}Z`);
    if (from !== undefined && (Number.isNaN(from) || Math.abs(from) > 8.64e15)) {
      throw new Refusal('invalid', `invalidate date format ${since}`);
    }
    const events = await deps.identity.revocations.list(callerOf(request), from);
    return {
      events: events.map(({ issued_before: before, revoked_at: at, domain_id: domain, ...whose }) => ({
        ...whose,
        ...(domain === undefined ? {} : { domain_id: shownDomainId(deps, domain) }),
        issued_before: tokenTime(before),
        revoked_at: tokenTime(at),
      })),
      links: { self: `${deps.base}/v3/OS-REVOKE/events`, previous: null, next: null },
    };
  });
};
