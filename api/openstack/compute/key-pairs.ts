/** /os-keypairs. Names may be of any script; Nova's list of characters is a subset of ours. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import type { KeyPairRow, KeyPairService } from '../../../control/compute/key-pair/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, nextLinks, pageOf, queryOf, refuseUnknown } from './paging.ts';
import { type Body, plainTime } from './server-view.ts';
import * as v from './validate.ts';

/** A slash is no part of a name that paths have, for Nova and for clients. */
const newName = Type.Refine(
  v.name,
  (text) => !text.includes('/'),
  (text) => `'${text}' has a slash`,
);

const createSchema = (version: number) =>
  v.strict({
    keypair: v.strict({
      name: newName,
      public_key: version >= 92 ? (v.text(0, 65_535) as never) : Type.Optional(v.text(0, 65_535)),
      type: v.when(version >= 2, Type.Enum(['ssh', 'x509'])),
      user_id: v.when(version >= 10, v.text(1, 255)),
    }),
  });
const created = v.since([1, 2, 10, 92], createSchema);

const brief = { name: a.text, public_key: a.text, fingerprint: a.text, type: a.some(a.one('ssh', 'x509')) };
const made = a.record({ keypair: a.record({ ...brief, user_id: a.id, private_key: a.some(a.text) }) });
const shown = a.record({
  keypair: a.record({
    ...brief,
    user_id: a.id,
    id: a.integer,
    created_at: a.text,
    updated_at: a.orNull(a.text),
    deleted: a.boolean,
    deleted_at: a.orNull(a.text),
  }),
});
const listed = a.record({
  keypairs: a.list({ keypair: a.record(brief) }),
  keypairs_links: a.some(a.links),
});
const ofUser = a.query('user_id');
const contracts = {
  list: {
    summary: "List the user's key pairs",
    rights: 'caller',
    query: a.query('user_id', 'limit', 'marker'),
    answers: { 200: listed },
  },
  create: { summary: 'Make or import a key pair', rights: 'caller', body: created, answers: { 200: made, 201: made } },
  show: { summary: 'Show a key pair', rights: 'caller', query: ofUser, answers: { 200: shown } },
  delete: { summary: 'Delete a key pair', rights: 'caller', query: ofUser, answers: { 202: null, 204: null } },
} as const;

/** User ids are compact elsewhere in OpenStack; here all ids are dashed. */
function userOf(text: string | undefined): { userId?: string } {
  if (text === undefined) return {};
  const userId = parseId(text);
  if (!userId) throw new Refusal('not_found', `User ${text.slice(0, 100)} could not be found.`);
  return { userId };
}

const askedUser = (request: FastifyRequest) =>
  userOf(request.microversion >= 10 ? first(queryOf(request), 'user_id') : undefined);

const briefBody = (request: FastifyRequest, key: KeyPairRow): Body => ({
  name: key.name,
  public_key: key.public_key,
  fingerprint: key.fingerprint,
  ...(request.microversion >= 2 && { type: key.type }),
});

export function keyPairRoutes(app: Boundary, keyPairs: KeyPairService): void {
  const nameOf = (request: FastifyRequest): string => (request.params as { name: string }).name;
  app.get('/os-keypairs', contracts.list, async (request) => {
    const paged = request.microversion >= 35;
    refuseUnknown(request, ['user_id', 'limit', 'marker']);
    const { limit, marker } = paged ? pageOf(queryOf(request)) : { limit: undefined, marker: undefined };
    const rows = await keyPairs.list(callerOf(request), {
      ...askedUser(request),
      ...(limit !== undefined && { limit }),
      ...(marker !== undefined && { marker }),
    });
    const body: Body = { keypairs: rows.map((row) => ({ keypair: briefBody(request, row) })) };
    const links = limit && nextLinks(request, 'os-keypairs', { limit, count: rows.length, last: rows.at(-1)?.name });
    if (links) body.keypairs_links = links;
    return body;
  });
  app.post('/os-keypairs', contracts.create, async (request, reply) => {
    const { keypair } = request.body;
    const { keyPair, privateKey } = await keyPairs.create(callerOf(request), {
      name: keypair.name,
      type: (keypair.type as 'ssh' | 'x509' | undefined) ?? 'ssh',
      publicKey: (keypair.public_key as string | undefined) ?? null,
      ...userOf(keypair.user_id),
    });
    reply.code(request.microversion >= 2 ? 201 : 200);
    return {
      keypair: {
        ...briefBody(request, keyPair),
        user_id: keyPair.user_id,
        ...(privateKey && { private_key: privateKey.reveal() }),
      },
    };
  });
  app.get('/os-keypairs/:name', contracts.show, async (request) => {
    refuseUnknown(request, ['user_id']);
    const key = await keyPairs.get(callerOf(request), nameOf(request), askedUser(request));
    return {
      keypair: {
        ...briefBody(request, key),
        user_id: key.user_id,
        id: key.number,
        created_at: plainTime(key.created_at),
        updated_at: null,
        deleted: false,
        deleted_at: null,
      },
    };
  });
  app.delete('/os-keypairs/:name', contracts.delete, async (request, reply) => {
    refuseUnknown(request, ['user_id']);
    await keyPairs.delete(callerOf(request), nameOf(request), askedUser(request));
    return reply.code(request.microversion >= 2 ? 204 : 202).send();
  });
}
