/** Accounts: what a project has in objects, and its containers. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type AccountInfo, type ContainerService, ownsAccount } from '../../../control/object/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { answer } from './answer.ts';
import { storagePolicy } from './info.ts';
import { listQuery, listWish } from './list-query.ts';
import { accountListing, listForm, listTypes } from './listing-form.ts';
import { metadataChange, metadataHeaders } from './metadata.ts';
import { bytesHeader, metadataPatterns } from './object-contracts.ts';
import { projectOf, queryOf } from './request.ts';
import { timestampOf } from './times.ts';

/** What only the owner of an account is told. */
const secrets = ['temp-url-key', 'temp-url-key-2'];

export const withoutSecrets = (metadata: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(metadata).filter(([name]) => !secrets.includes(name)));

function accountHeaders(info: AccountInfo, { owner }: { owner: boolean }): Record<string, string> {
  const counts = { 'Container-Count': info.containers, 'Object-Count': info.objects, 'Bytes-Used': info.bytes };
  return {
    ...Object.fromEntries(Object.entries(counts).map(([name, value]) => [`X-Account-${name}`, String(value)])),
    ...Object.fromEntries(
      Object.entries(counts).map(([name, value]) => [
        `X-Account-Storage-Policy-${storagePolicy}-${name}`,
        String(value),
      ]),
    ),
    'X-Timestamp': timestampOf(info.createdAt ?? new Date(0)),
    'Accept-Ranges': 'bytes',
    ...metadataHeaders(owner ? info.metadata : withoutSecrets(info.metadata), 'account'),
    ...(info.quotaBytes !== null && { 'X-Account-Meta-Quota-Bytes': String(info.quotaBytes) }),
  };
}

export const accountPostHeaders = Type.Object(
  {
    'x-account-meta-quota-bytes': bytesHeader,
    'x-account-quota-bytes': bytesHeader,
    'x-account-access-control': Type.Optional(Type.Literal('', { description: 'Lists of an account are not there' })),
  },
  { patternProperties: metadataPatterns('account') },
);

const list = { summary: "List an account's containers", rights: 'reader', query: listQuery } as const;

export function accountRoutes(app: Boundary, containers: ContainerService): void {
  app.route(
    ['HEAD'],
    '/v1/:account',
    { summary: 'Show an account', rights: 'reader', answers: { 204: null } },
    async (request, reply) => {
      const info = await containers.account(request.visit, projectOf(request));
      return answer(reply, {
        status: 204,
        headers: { ...accountHeaders(info, owned(request)), 'content-type': 'text/plain; charset=utf-8' },
      });
    },
  );

  app.get('/v1/:account', { ...list, answers: { 200: listTypes.plain, 204: null } }, async (request, reply) => {
    const form = listForm(queryOf(request, 'format'), request.headers.accept);
    const projectId = projectOf(request);
    const wish = listWish(request);
    const info = await containers.account(request.visit, projectId);
    const { entries } = await containers.list(request.visit, projectId, wish);
    const listed = entries.map((entry) =>
      'prefix' in entry
        ? { subdir: entry.prefix }
        : { name: entry.name, count: entry.objects, bytes: entry.bytes, lastModified: entry.createdAt },
    );
    const body = accountListing(form, request.params.account, listed);
    return answer(reply, {
      status: body === '' ? 204 : 200,
      headers: { ...accountHeaders(info, owned(request)), 'content-type': listTypes[form] },
      body,
    });
  });
}

/** POST of an account, where it is none of the things that a query makes of it. */
export async function changeAccount(request: FastifyRequest, containers: ContainerService): Promise<void> {
  const headers = headersOf(request);
  const { set, remove } = metadataChange(headers, 'account');
  const projectId = projectOf(request);
  const { 'quota-bytes': metaQuota, ...metadata } = set;
  const quota = headers['x-account-quota-bytes'] ?? metaQuota;
  const endsQuota = remove.includes('quota-bytes') || headers['x-remove-account-quota-bytes'] !== undefined;
  if (quota !== undefined || endsQuota) requireReseller(request);
  await containers.updateAccount(request.visit, projectId, {
    metadata: { ...metadata, ...Object.fromEntries(remove.map((name) => [name, null])) },
    ...(quota !== undefined && quota !== ''
      ? { quotaBytes: Number(quota) }
      : endsQuota || quota === ''
        ? { quotaBytes: null }
        : {}),
  });
}

/** An account's own people shall not lift what was laid on them. */
function requireReseller({ visit: { caller } }: FastifyRequest): void {
  if (caller && (caller.roles.has('ResellerAdmin') || caller.roles.has('admin'))) return;
  if (caller) throw new Refusal('forbidden', '');
  throw new Refusal('unauthenticated', '');
}

export const owned = (request: FastifyRequest): { owner: boolean } => ({
  owner: ownsAccount(request.visit.caller, projectOf(request)),
});
