/** With whom an image is shared. */
import { Type } from 'typebox';
import { type ImageMemberService, memberStatuses } from '../../../control/image/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { memberView } from './view.ts';

const refuse = (sentence: string) => () => {
  throw new Refusal('invalid', sentence);
};

const list = { summary: 'List members', rights: 'reader', answers: { 200: a.members } } as const;
const add = {
  summary: 'Share an image',
  rights: 'member',
  body: Type.Object({ member: Type.String({ minLength: 1 }) }),
  answers: { 200: a.member },
  explain: { body: refuse('Expected a non-empty string for the member: {"member": project id}') },
} as const;
const show = { summary: 'Show a member', rights: 'reader', answers: { 200: a.member } } as const;
const answer = {
  summary: 'Accept or reject what is shared',
  rights: 'member',
  body: Type.Object({ status: Type.Enum(memberStatuses) }),
  answers: { 200: a.member },
  explain: { body: refuse(`Expected a status: {"status": one of ${memberStatuses.join(', ')}}`) },
} as const;
const remove = { summary: 'Share no longer', rights: 'member', answers: { 204: null } } as const;

export function memberRoutes(app: Boundary, members: ImageMemberService): void {
  app.get('/v2/images/:id/members', list, async (request) => ({
    members: (await members.list(callerOf(request), request.params.id)).map(memberView),
    schema: '/v2/schemas/members',
  }));

  app.post('/v2/images/:id/members', add, async (request) =>
    memberView(await members.add(callerOf(request), request.params.id, request.body.member)),
  );

  app.get('/v2/images/:id/members/:member', show, async (request) =>
    memberView(await members.show(callerOf(request), request.params.id, request.params.member)),
  );

  app.put('/v2/images/:id/members/:member', answer, async (request) => {
    const { params, body } = request;
    return memberView(await members.answer(callerOf(request), params.id, params.member, body.status));
  });

  app.delete('/v2/images/:id/members/:member', remove, async (request, reply) => {
    await members.remove(callerOf(request), request.params.id, request.params.member);
    return reply.code(204).send();
  });
}
