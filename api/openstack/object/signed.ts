/** Requests by a temporary URL: judged by the keys of the account and the container, and given the right that the URL is for. */
import type { FastifyRequest } from 'fastify';
import { isCloudError } from '../../../contract/errors.ts';
import type { ContainerService, Right, Visit, Where } from '../../../control/object/index.ts';
import { headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { cloudItself, granted, type Names, whereOf } from './request.ts';
import { dispositionOf, invalid, isSigned, type TempUrl, tempUrlOf } from './temp-url.ts';

const keyNames = ['temp-url-key', 'temp-url-key-2'] as const;

export interface SigningKey {
  key: string;
  /** What it opens: a container's own key no more than that container. */
  opens: NonNullable<Visit['grantedIn']>;
}

/** All that are good for something in this container. */
export async function keysOf(containers: ContainerService, where: Where): Promise<SigningKey[]> {
  try {
    const [account, container] = await Promise.all([
      containers.account(cloudItself, where.projectId),
      containers.show(cloudItself, where),
    ]);
    const of = (metadata: Record<string, string>, opens: SigningKey['opens']) =>
      keyNames.flatMap((name) => (metadata[name] ? [{ key: metadata[name], opens }] : []));
    return [
      ...of(account.metadata, { projectId: where.projectId }),
      ...of(container.metadata, { containerId: container.id }),
    ];
  } catch (error) {
    if (isCloudError(error, 'not_found')) return [];
    throw error;
  }
}

const rights: Readonly<Record<string, readonly Right[]>> = {
  GET: ['read'],
  HEAD: ['read'],
  PUT: ['write'],
  POST: ['write'],
  DELETE: ['write'],
};

/** What would lead beyond the object that the URL is for. */
const leadingAway = ['x-object-manifest', 'x-symlink-target', 'x-copy-from'];

/** Undefined: the request has no such URL. @throws Refusal 401 for one that is not good for it */
export async function admitSigned(request: FastifyRequest, containers: ContainerService): Promise<TempUrl | undefined> {
  const url = tempUrlOf(request.query as Record<string, unknown>, new Date());
  if (!url) return undefined;
  const right = rights[request.method];
  if (!right) throw invalid();
  const { account, container, object } = request.params as Names;
  const signed = {
    ...{ method: request.method, containerPath: `/v1/${account}/${container}`, object },
    address: request.ip,
  };
  const keys = await keysOf(containers, whereOf(request));
  const signer = keys.find(({ key }) => isSigned(url, signed, [key]));
  if (!signer) throw invalid();
  const given = leadingAway.find((name) => headersOf(request)[name] !== undefined);
  if (given !== undefined) {
    throw new Refusal('invalid', `The header '${given}' is not allowed in this tempurl`);
  }
  request.visit = granted({ caller: null }, right, signer.opens);
  return url;
}

/** What a URL's holder is told: metadata only where it is public. */
export function hidden(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !/^x-object-meta-(?!public-)/i.test(name)));
}

export function tempUrlHeaders(url: TempUrl, object: string, kept: string | undefined): Record<string, string> {
  return { 'content-disposition': dispositionOf(url, object, kept), Expires: url.expiresAt.toUTCString() };
}
