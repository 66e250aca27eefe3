/** OS-EC2: users' access keys, and tokens for requests that were signed with them (EC2 and S3 gateways ask for those). */
import { type Static, Type } from 'typebox';
import type { ProjectId, UserId } from '../../../../contract/ids.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import { anyId, collection, type Routes, type With } from '../resource.ts';
import { accessKeyView, tokenDocument } from '../views.ts';

const short = Type.String({ minLength: 1, maxLength: 255 });
const text = Type.String({ maxLength: 65_535 });
const texts = Type.Record(Type.String(), Type.String());
const signedRequest = Type.Object({
  access: short,
  signature: text,
  ...{ verb: Type.Optional(text), host: Type.Optional(text), path: Type.Optional(text) },
  ...{ params: Type.Optional(texts), headers: Type.Optional(texts), body_hash: Type.Optional(text) },
});
const signedText = Type.Object({ access: short, signature: text, token: text });
/** Keystone takes it under three names. */
const underAnyName = (schema: typeof signedRequest | typeof signedText) =>
  Type.Union(['credentials', 'credential', 'ec2Credentials'].map((name) => Type.Object({ [name]: schema })));

const nameless = <T>(body: unknown): T => {
  const given = body as Partial<Record<'credentials' | 'credential' | 'ec2Credentials', T>>;
  return (given.credentials ?? given.credential ?? given.ec2Credentials)!;
};

const key = a.one('credential', a.accessKey);
const contracts = {
  list: lists('List the access keys of a user', 'caller', a.many('credentials', a.accessKey)),
  create: {
    summary: 'Make an access key',
    rights: 'caller',
    body: Type.Object({ tenant_id: short }),
    answers: { 201: key },
  },
  show: shows('Show an access key', 'caller', key),
  remove: quiet('Remove an access key', 'caller'),
  ec2: {
    summary: 'A token for a request that was signed with an access key',
    rights: 'admin',
    body: underAnyName(signedRequest),
    answers: { 200: a.token },
  },
  s3: {
    summary: 'A token for a text that was signed with an access key',
    rights: 'admin',
    body: underAnyName(signedText),
    answers: { 200: a.token },
  },
} as const;

const userOf = (request: With): UserId => anyId(request.params.id);

export const accessKeyRoutes: Routes = (app, deps) => {
  const { credentials } = deps.identity;
  const view = accessKeyView(deps);
  const url = '/v3/users/:id/credentials/OS-EC2';

  app.read(url, contracts.list, async (request) => {
    const rows = await credentials.accessKeys(callerOf(request), userOf(request));
    return collection(deps, request, 'credentials', rows, view);
  });
  app.post(url, contracts.create, async (request, reply) => {
    const project = anyId<ProjectId>(request.body.tenant_id);
    const made = await credentials.createAccessKey(callerOf(request), userOf(request), project);
    return reply.code(201).send({ credential: view(made) });
  });
  app.read(`${url}/:one`, contracts.show, async (request) => ({
    credential: view(await credentials.accessKey(callerOf(request), userOf(request), request.params.one)),
  }));
  app.delete(`${url}/:one`, contracts.remove, async (request, reply) => {
    await credentials.deleteAccessKey(callerOf(request), userOf(request), request.params.one);
    return reply.code(204).send();
  });
  signatureRoutes(app, deps);
};

const signatureRoutes: Routes = (app, deps) => {
  const { identity } = deps;

  app.post('/v3/ec2tokens', contracts.ec2, async (request, reply) => {
    const given = nameless<Static<typeof signedRequest>>(request.body);
    const {
      access,
      signature,
      verb = '',
      host = '',
      path = '/',
      params = {},
      headers = {},
      body_hash: bodyHash = '',
    } = given;
    const signed = { signature, verb, host, path, params, headers, bodyHash };
    const { token, entry } = await identity.loginByAccessKey(callerOf(request), access, signed);
    reply.header('x-subject-token', token).header('vary', 'X-Auth-Token').type('application/json');
    return reply.send(await tokenDocument(deps, entry));
  });
  app.post('/v3/s3tokens', contracts.s3, async (request, reply) => {
    const { access, signature, token: said } = nameless<Static<typeof signedText>>(request.body);
    const signed = { text: Buffer.from(said, 'base64url'), signature };
    const { entry } = await identity.loginByAccessKey(callerOf(request), access, signed);
    return reply.type('application/json').send(await tokenDocument(deps, entry));
  });
};
