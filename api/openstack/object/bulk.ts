/** Many at once: deletion of a list, and what an archive has in it. Each is done and told by itself. */
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CloudError, isCloudError } from '../../../contract/errors.ts';
import {
  isContainerName,
  isObjectName,
  objectStoreLimits as limits,
  type Where,
} from '../../../control/object/index.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { toFault } from '../common/faults.ts';
import { answer } from './answer.ts';
import { readBody } from './body.ts';
import { objectFaults, statusLine } from './faults.ts';
import { bulkLimits } from './info.ts';
import { escapeXml, listForm, listTypes } from './listing-form.ts';
import { typeOfName } from './media-types.ts';
import { namedObject } from './path.ts';
import { projectOf, queryOf } from './request.ts';
import { type ArchivedFile, filesOf } from './tar.ts';
import { archiveBefore, removeObject, type Services } from './write-parts.ts';

/** An object, or a container where it has no name. */
export interface Place {
  where: Where;
  name?: string;
}

export interface Report {
  deleted?: number;
  notFound?: number;
  created?: number;
  /** `400 Bad Request` where something did not go. */
  status: string;
  body: string;
  errors: [path: string, status: string][];
}

const atOnce = 10;

const pathOf = ({ where, name }: Place): string => `/${where.container}${name === undefined ? '' : `/${name}`}`;

/** As a list says it: `409 Conflict`. @throws what is no refusal */
function statusOf(error: unknown): string {
  if (!(error instanceof CloudError)) throw error;
  const fault = toFault(error, objectFaults);
  return statusLine((fault.details.httpStatus as number | undefined) ?? fault.status);
}

export async function deleteMany(
  request: FastifyRequest,
  services: Services,
  places: readonly Place[],
): Promise<Report> {
  const report: Report = { deleted: 0, notFound: 0, status: '200 OK', body: '', errors: [] };
  const one = async (place: Place) => {
    try {
      const { where, name } = place;
      if (!isContainerName(where.container) || (name !== undefined && !isObjectName(name))) report.notFound!++;
      else {
        if (name === undefined) await services.containers.delete(request.visit, where);
        else await removeObject(request, services, { where, name });
        report.deleted!++;
      }
    } catch (error) {
      if (isCloudError(error, 'not_found')) report.notFound!++;
      else report.errors.push([encodeURI(pathOf(place)), statusOf(error)]);
    }
  };
  for (let from = 0; from < places.length && report.errors.length < bulkLimits.deletesFailed; ) {
    // A container comes after what is listed before it.
    const length = places.slice(from, from + atOnce).findIndex(({ name }) => name === undefined);
    const batch = places.slice(from, from + (length < 0 ? atOnce : Math.max(length, 1)));
    await Promise.all(batch.map(one));
    from += batch.length;
  }
  if (report.errors.length > 0) {
    const all = new Set(report.errors.map(([, status]) => status));
    const denied = report.deleted === 0 && all.size === 1 && all.has(statusLine(401));
    report.status = denied ? statusLine(401) : statusLine(400);
  }
  return report;
}

/** Of an account: a path a line, percent-encoded. */
export async function bulkDelete(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<FastifyReply> {
  const projectId = projectOf(request);
  if (!request.visit.caller) throw new Refusal('unauthenticated', '');
  const text = (
    await readBody(request, bulkLimits.deletes * (limits.objectNameBytes + limits.containerNameBytes) * 3)
  ).toString('utf8');
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length > bulkLimits.deletes) {
    throw new Refusal('too_large', `Maximum Bulk Deletes: ${bulkLimits.deletes} per request`);
  }
  const malformed: string[] = [];
  const places = lines.flatMap((line): Place[] => {
    try {
      const path = decodeURIComponent(line).replace(/^\/+/, '');
      const named = namedObject(path);
      if (named) return [{ where: { projectId, container: named.container }, name: named.object }];
      return [{ where: { projectId, container: path.replace(/\/$/, '') } }];
    } catch {
      malformed.push(line);
      return [];
    }
  });
  const report = await deleteMany(request, services, places);
  report.errors.push(...malformed.map((line): [string, string] => [line.slice(0, 2000), statusLine(412)]));
  if (lines.length === 0) Object.assign(report, { status: statusLine(400), body: 'Invalid bulk delete.' });
  else if (malformed.length > 0) report.status = statusLine(400);
  return sendReport(request, reply, 'delete', report);
}

export function sendReport(
  request: FastifyRequest,
  reply: FastifyReply,
  kind: 'delete' | 'extract',
  report: Report,
): FastifyReply {
  const form = listForm(queryOf(request, 'format'), request.headers.accept);
  const { deleted, notFound, created, status, body, errors } = report;
  const numbers = { 'Number Deleted': deleted, 'Number Not Found': notFound, 'Number Files Created': created };
  const fields = Object.entries({ ...numbers, 'Response Status': status, 'Response Body': body }).filter(
    (field): field is [string, string | number] => field[1] !== undefined,
  );
  const text =
    form === 'json'
      ? JSON.stringify({ ...Object.fromEntries(fields), Errors: errors })
      : form === 'xml'
        ? xmlReport(kind, fields, errors)
        : [
            ...fields.map(([name, value]) => `${name}: ${value}\n`),
            'Errors:\n',
            ...errors.map((one) => `${one.join(', ')}\n`),
          ].join('');
  return answer(reply, { status: 200, headers: { 'content-type': listTypes[form] }, body: text });
}

function xmlReport(root: string, fields: [string, string | number][], errors: Report['errors']): string {
  const told = fields.map(([name, value]) => {
    const element = name.toLowerCase().replaceAll(' ', '_');
    return `<${element}>${escapeXml(String(value))}</${element}>`;
  });
  const objects = errors.map(
    ([path, status]) => `<object><name>${escapeXml(path)}</name><status>${escapeXml(status)}</status></object>`,
  );
  return `<${root}>${told.join('')}<errors>${objects.join('')}</errors></${root}>`;
}

/** `PUT /v1/AUTH_…[/container[/prefix]]?extract-archive=tar` */
export async function extractArchive(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<FastifyReply> {
  const format = queryOf(request, 'extract-archive');
  if (format !== 'tar' && format !== 'tar.gz') {
    throw new Refusal('invalid', `Unsupported archive format '${format}': tar and tar.gz are read here`);
  }
  const projectId = projectOf(request);
  if (!request.visit.caller) throw new Refusal('unauthenticated', '');
  const { container, object } = request.params as { container?: string; object?: string };
  const base =
    container === undefined ? '' : `${container}/${object === undefined ? '' : `${object.replace(/\/$/, '')}/`}`;
  const report: Report = { created: 0, status: '201 Created', body: '', errors: [] };
  const made = new Set<string>();
  // A body that is cut off ends what it goes through, too.
  const source = format === 'tar' ? request.raw : pipeline(request.raw, createGunzip(), () => {});
  try {
    for await (const file of filesOf(source as AsyncIterable<Buffer>)) {
      const named = namedObject(`${base}${file.name.replace(/^(\.?\/)+/, '')}`);
      if (!named) continue;
      const where = { projectId, container: named.container };
      try {
        await extractOne(request, services, { where, name: named.object, file, made });
        report.created!++;
      } catch (error) {
        report.errors.push([encodeURI(`/${named.container}/${named.object}`), statusOf(error)]);
        if (report.errors.length >= bulkLimits.extractionsFailed) break;
      }
    }
  } catch (error) {
    if (!(error instanceof Refusal) && (error as NodeJS.ErrnoException).code?.startsWith('Z_') !== true) throw error;
    report.status = statusLine(400);
    report.body = error instanceof Refusal ? error.sentence : 'Invalid Tar File: it is not compressed by gzip';
  }
  if (report.errors.length > 0) report.status = statusLine(400);
  else if (report.created === 0 && report.body === '') {
    Object.assign(report, { status: statusLine(400), body: 'Invalid Tar File: No Valid Files' });
  }
  return sendReport(request, reply, 'extract', report);
}

async function extractOne(
  request: FastifyRequest,
  services: Services,
  { where, name, file, made }: { where: Where; name: string; file: ArchivedFile; made: Set<string> },
): Promise<void> {
  if (!isContainerName(where.container)) throw new Refusal('invalid', `Invalid container name '${where.container}'`);
  if (!isObjectName(name)) throw new Refusal('invalid', `Invalid object name '${name}'`);
  if (file.sizeBytes > limits.objectBytes) throw new Refusal('too_large', '');
  if (!made.has(where.container)) {
    if (made.size >= bulkLimits.containers)
      throw new Refusal('invalid', 'More than too many containers in one archive');
    await madeSure(request, services, where);
    made.add(where.container);
  }
  const prefix = 'SCHILY.xattr.user.meta.';
  const metadata = Object.entries(file.attributes)
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [key.slice(prefix.length).toLowerCase(), value]);
  await archiveBefore(request, services, where, name);
  const source = { bytes: Readable.from(file.bytes(), { objectMode: false }), sizeBytes: file.sizeBytes };
  await services.objects.put(request.visit, where, name, source, {
    contentType: file.attributes['SCHILY.xattr.user.mime_type'] ?? typeOfName(name),
    metadata: Object.fromEntries(metadata),
  });
}

/** Whoever may write in a container that is there need not be one who may make it. */
async function madeSure(request: FastifyRequest, { containers }: Services, where: Where): Promise<void> {
  try {
    await containers.show(request.visit, where, 'write');
  } catch (error) {
    if (!isCloudError(error, 'not_found')) throw error;
    await containers.create(request.visit, where);
  }
}
