/** Credentials that the cloud can read: access keys, TOTP seeds, and what clients keep here. */
import { Type } from 'typebox';
import type { ProjectId, UserId } from '../../../../contract/ids.ts';
import type { CredentialChange, NewCredential } from '../../../../control/identity/credentials.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import { anyId, collection, extraOf, filterId, nullable, query, type Routes, type With, wrapped } from '../resource.ts';
import { storedCredentialView } from '../views.ts';

const short = Type.String({ minLength: 1, maxLength: 255 });
const properties = {
  type: short,
  blob: Type.String({ maxLength: 65_535 }),
  user_id: short,
  project_id: nullable(Type.String({ maxLength: 255 })),
};
const credential = a.one('credential', a.storedCredential);
const contracts = {
  list: lists('List credentials', 'caller', a.many('credentials', a.storedCredential), 'user_id', 'type'),
  create: {
    summary: 'Keep a credential',
    rights: 'caller',
    body: wrapped('credential', properties, ['blob', 'type', 'user_id']),
    answers: { 201: credential },
  },
  show: shows('Show a credential', 'caller', credential),
  update: {
    summary: 'Change a credential',
    rights: 'caller',
    body: wrapped('credential', properties),
    answers: { 200: credential },
  },
  remove: quiet('Remove a credential', 'caller'),
} as const;

interface Given extends Record<string, unknown> {
  type?: string;
  blob?: string;
  user_id?: string;
  project_id?: string | null;
}

function changeOf(given: Given): CredentialChange {
  const { type, blob, user_id: user, project_id: project } = given;
  return {
    ...(type !== undefined && { type }),
    ...(blob !== undefined && { blob }),
    ...(user !== undefined && { userId: anyId<UserId>(user) }),
    ...(project !== undefined && { projectId: project ? anyId<ProjectId>(project) : null }),
    extra: extraOf(given, Object.keys(properties)),
  };
}

export const credentialRoutes: Routes = (app, deps) => {
  const { credentials } = deps.identity;
  const view = storedCredentialView(deps);
  const idOf = (request: With) => anyId(request.params.id);

  app.read('/v3/credentials', contracts.list, async (request) => {
    const { user_id: user, type } = query(request);
    const userId = filterId<UserId>(user);
    const filter = { ...(userId !== undefined && { userId }), ...(type !== undefined && { type }) };
    return collection(deps, request, 'credentials', await credentials.list(callerOf(request), filter), view);
  });
  app.post('/v3/credentials', contracts.create, async (request, reply) => {
    const given = changeOf(request.body.credential) as NewCredential;
    return reply.code(201).send({ credential: view(await credentials.create(callerOf(request), given)) });
  });
  app.read('/v3/credentials/:id', contracts.show, async (request) => ({
    credential: view(await credentials.get(callerOf(request), idOf(request))),
  }));
  app.patch('/v3/credentials/:id', contracts.update, async (request) => ({
    credential: view(await credentials.update(callerOf(request), idOf(request), changeOf(request.body.credential))),
  }));
  app.delete('/v3/credentials/:id', contracts.remove, async (request, reply) => {
    await credentials.delete(callerOf(request), idOf(request));
    return reply.code(204).send();
  });
};
