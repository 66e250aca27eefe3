/** With whom an image is shared. */
import type { FastifyInstance } from 'fastify';
import { type ImageMemberService, memberStatuses } from '../../../control/image/index.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import type { ById } from './images.ts';
import { memberView } from './view.ts';

interface ByMember {
  Params: { id: string; member: string };
}

export function memberRoutes(app: FastifyInstance, members: ImageMemberService): void {
  app.get<ById>('/v2/images/:id/members', async (request) => ({
    members: (await members.list(callerOf(request), request.params.id)).map(memberView),
    schema: '/v2/schemas/members',
  }));

  app.post<ById>('/v2/images/:id/members', async (request) => {
    const member = field(request.body, 'member');
    if (typeof member !== 'string' || member === '') {
      throw new Refusal('invalid', 'Expected a non-empty string for the member: {"member": project id}');
    }
    return memberView(await members.add(callerOf(request), request.params.id, member));
  });

  app.get<ByMember>('/v2/images/:id/members/:member', async (request) =>
    memberView(await members.show(callerOf(request), request.params.id, request.params.member)),
  );

  app.put<ByMember>('/v2/images/:id/members/:member', async (request) => {
    const given = field(request.body, 'status');
    const status = memberStatuses.find((known) => known === given);
    if (!status) {
      throw new Refusal('invalid', `Expected a status: {"status": one of ${memberStatuses.join(', ')}}`);
    }
    return memberView(await members.answer(callerOf(request), request.params.id, request.params.member, status));
  });

  app.delete<ByMember>('/v2/images/:id/members/:member', async (request, reply) => {
    await members.remove(callerOf(request), request.params.id, request.params.member);
    return reply.code(204).send();
  });
}

const field = (body: unknown, name: string): unknown =>
  typeof body === 'object' && body !== null && Object.hasOwn(body, name)
    ? (body as Record<string, unknown>)[name]
    : undefined;
