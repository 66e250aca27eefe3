import type { FastifyReply, FastifyRequest } from 'fastify';
import { objectStoreLimits as limits, type ObjectInfo, type Where } from '../../../control/object/index.ts';
import { headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { answer } from './answer.ts';
import { bodySize, hasBody } from './body.ts';
import { copyObjectTo } from './copying.ts';
import { metadataChange, metadataHeaders } from './metadata.ts';
import { dloOf, expiryOf, foreignOf, keptOf, namedBy, wishOf } from './object-headers.ts';
import { encodedPath } from './path.ts';
import { cloudItself, objectOf, projectOf, queryOf, truthy, whereOf } from './request.ts';
import { deleteLarge, putManifest } from './slo-write.ts';
import { symlinkOf } from './symlink.ts';
import { httpDate } from './times.ts';
import { archiveBefore, conditionOf, removeObject, type Services, written } from './write-parts.ts';

export async function putObject(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<FastifyReply> {
  const headers = headersOf(request);
  const where = whereOf(request);
  const name = objectOf(request);
  if (headers['x-copy-from'] !== undefined) return copyInto(request, reply, services);
  if (queryOf(request, 'version-id') !== undefined) return bringVersionBack(request, reply, services);
  if (queryOf(request, 'multipart-manifest') === 'put') return putManifest(request, reply, services);
  const sizeBytes = bodySize(request);
  if (sizeBytes !== undefined && sizeBytes > limits.objectBytes)
    throw new Refusal('too_large', 'Your request is too large.');
  const wish = { ...wishOf(request, name), ...conditionOf(request), ...(await symlinkOf(request, services)) };
  const md5 = headers.etag
    ?.trim()
    .replace(/^"(.*)"$/, '$1')
    .toLowerCase();
  if (md5 !== undefined && !/^[0-9a-f]{32}$/.test(md5))
    throw new Refusal('invalid', '', { details: { httpStatus: 422 } });
  await archiveBefore(request, services, where, name);
  const source = { bytes: request.raw, sizeBytes };
  const wished = { ...wish, ...(md5 && { md5 }) };
  return written(reply, await services.objects.put(request.visit, where, name, source, wished));
}

/** `?version-id=…` without a body: that version is the current one again. */
async function bringVersionBack(request: FastifyRequest, reply: FastifyReply, services: Services) {
  if (hasBody(request)) throw new Refusal('invalid', 'PUT version-id requests require a zero byte body');
  const place = { where: whereOf(request), name: objectOf(request) };
  const from = { ...place, versionId: queryOf(request, 'version-id')!, raw: true };
  return written(reply, await copyObjectTo(services.objects, request.visit, from, place));
}

interface Copying {
  from: { where: Where; name: string };
  to: { where: Where; name: string };
  fromAccount: string;
}

/** PUT with `X-Copy-From`. */
async function copyInto(request: FastifyRequest, reply: FastifyReply, services: Services): Promise<FastifyReply> {
  const headers = headersOf(request);
  if (hasBody(request)) throw new Refusal('invalid', 'Copy requests require a zero byte body');
  const source = namedBy('X-Copy-From', headers['x-copy-from']!);
  const account = headers['x-copy-from-account'] ?? (request.params as { account: string }).account;
  return copy(request, reply, services, {
    from: { where: { projectId: projectNamed(request, account), container: source.container }, name: source.object },
    to: { where: whereOf(request), name: objectOf(request) },
    fromAccount: account,
  });
}

export async function copyObject(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<FastifyReply> {
  const headers = headersOf(request);
  if (hasBody(request)) throw new Refusal('invalid', 'Copy requests require a zero byte body');
  if (headers.destination === undefined) {
    throw new Refusal('invalid', 'Destination header required', { details: { httpStatus: 412 } });
  }
  const target = namedBy('Destination', headers.destination);
  const { account } = request.params as { account: string };
  return copy(request, reply, services, {
    from: { where: whereOf(request), name: objectOf(request) },
    to: {
      where: {
        projectId: projectNamed(request, headers['destination-account'] ?? account),
        container: target.container,
      },
      name: target.object,
    },
    fromAccount: account,
  });
}

const projectNamed = (request: FastifyRequest, account: string) =>
  projectOf({ ...request, visit: request.visit, params: { account } } as FastifyRequest);

async function copy(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
  { from, to, fromAccount }: Copying,
) {
  const headers = headersOf(request);
  if (Buffer.byteLength(to.name) > limits.objectNameBytes) {
    throw new Refusal(
      'invalid',
      `Object name length of ${Buffer.byteLength(to.name)} longer than ${limits.objectNameBytes}`,
    );
  }
  const versionId = queryOf(request, 'version-id');
  const raw = queryOf(request, 'multipart-manifest') === 'get' || queryOf(request, 'symlink') === 'get';
  const options = { ...(versionId !== undefined && { versionId }), ...(raw && { raw }) };
  const { object: source } = await services.objects.head(request.visit, from.where, from.name, options);
  const fresh = truthy(headers['x-fresh-metadata']);
  const { set } = metadataChange(headers, 'object');
  const metadata = fresh ? set : { ...source.metadata, ...set };
  const kept = keptOf(headers);
  // A copy is nobody's but its owner's, whomever the source was opened to.
  const { 'x-amz-acl': _acl, ...copied } = source.headers;
  const expiresAt = expiryOf(headers) ?? (fresh ? undefined : (source.expiresAt ?? undefined));
  await archiveBefore(request, services, to.where, to.name);
  const made = await copyObjectTo(services.objects, request.visit, { ...from, ...options }, to, {
    contentType: request.givenType || source.contentType,
    metadata,
    headers: fresh ? kept : { ...copied, ...kept },
    ...(expiresAt && { expiresAt }),
    ...(headersOf(request)['x-object-manifest'] !== undefined && { manifest: dloOf(headers) }),
  });
  return written(reply, made, {
    'X-Copied-From': encodedPath(`${from.where.container}/${from.name}`),
    'X-Copied-From-Account': fromAccount,
    'X-Copied-From-Last-Modified': httpDate(source.updatedAt),
    ...metadataHeaders(metadata, 'object'),
  });
}

/** POST: all metadata anew. */
export async function changeObject(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<FastifyReply> {
  const headers = headersOf(request);
  const [where, name] = [whereOf(request), objectOf(request)];
  if (queryOf(request, 'version-id') !== undefined) {
    throw new Refusal('invalid', 'version-id not allowed: what is said of a version stays as it is');
  }
  // Whoever may write need not be one who reads.
  await services.containers.show(request.visit, where, 'write');
  const { object } = await services.objects.head(cloudItself, where, name, { raw: true });
  if (object.manifest?.kind === 'symlink') return elsewhere(request, reply, object);
  const manifest = object.manifest?.kind === 'slo' ? object.manifest : dloOf(headers);
  await services.objects.update(request.visit, where, name, {
    metadata: metadataChange(headers, 'object').set,
    headers: { ...foreignOf(object.headers), ...keptOf(headers) },
    manifest: manifest ?? null,
    expiresAt: expiryOf(headers) ?? null,
    ...(request.givenType && { contentType: request.givenType }),
  });
  return answer(reply, { status: 202 });
}

/** What a symlink says of itself does not change: the client is told where it leads. */
function elsewhere(request: FastifyRequest, reply: FastifyReply, { manifest }: ObjectInfo): FastifyReply {
  if (manifest?.kind !== 'symlink') throw new Error('no symlink');
  const account =
    manifest.projectId === undefined ? (request.params as { account: string }).account : `AUTH_${manifest.projectId}`;
  const location = `/object/v1/${account}/${encodedPath(`${manifest.container}/${manifest.name}`)}`;
  return answer(reply, { status: 307, headers: { Location: location } });
}

export async function deleteObject(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<FastifyReply> {
  if (queryOf(request, 'multipart-manifest') === 'delete') return deleteLarge(request, reply, services);
  const versionId = queryOf(request, 'version-id');
  const deleted = await removeObject(request, services, {
    where: whereOf(request),
    name: objectOf(request),
    versionId,
  });
  return answer(reply, {
    status: 204,
    headers: deleted?.versionId === undefined ? {} : { 'X-Object-Version-Id': deleted.versionId },
  });
}
