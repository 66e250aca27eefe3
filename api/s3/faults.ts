/** From any thrown thing to S3's code, status and sentence; and the document that says so. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { CloudError, isCloudError } from '../../contract/errors.ts';
import { isDatabaseUnavailable } from '../../control/kit/database/database.ts';
import { Refusal } from '../boundary/refusal.ts';
import { latin1 } from './call.ts';
import { type S3Code, s3Codes } from './codes.ts';
import { S3Refusal } from './refusal.ts';
import { s3Refusals } from './refusals.ts';
import { type Node, writeXml } from './xml/write.ts';

export interface Fault {
  code: S3Code;
  status: number;
  message: string;
  /** Elements beside those that all have. */
  fields: Readonly<Record<string, string>>;
}

const fault = (code: S3Code, message: string, fields: Fault['fields'] = {}): Fault => ({
  code,
  status: s3Codes[code],
  message,
  fields,
});

const defect = fault('InternalError', 'We encountered an internal error. Please try again.');

export function faultOf(error: unknown): Fault {
  if (error instanceof S3Refusal) return fault(error.s3Code, error.sentence, error.fields as Record<string, string>);
  // Of a form.
  if (error instanceof Refusal) return fault('MalformedPOSTRequest', error.sentence);
  if (error instanceof CloudError) {
    if (error.code === 'internal') return defect;
    // A body that this dialect itself found wrong looks cut off to whoever reads it.
    if (error.cause instanceof Error && isCloudError(error) && error.reason === 'upload_cut_off') {
      const why = refusalIn(error.cause);
      if (why) return faultOf(why);
    }
    const [code, said] = sayingOf(error);
    return fault(code, typeof said === 'function' ? said(error.fields as never) : said, fieldsOf(error));
  }
  const { statusCode, message } = error as Partial<FastifyError>;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return fault('InvalidRequest', message ?? 'Bad request');
  if (isDatabaseUnavailable(error)) return fault('ServiceUnavailable', 'Please reduce your request rate.');
  return defect;
}

function refusalIn(cause: unknown): S3Refusal | undefined {
  for (let one = cause, depth = 0; one instanceof Error && depth < 5; one = one.cause, depth++) {
    if (one instanceof S3Refusal) return one;
  }
  return undefined;
}

type Saying = readonly [S3Code, string | ((fields: never) => string)];

/** What the table does not know is of an area that S3 does not reach. */
function sayingOf(error: CloudError): Saying {
  const known = (s3Refusals as unknown as Readonly<Record<string, Saying>>)[error.reason];
  return known ?? [error.code === 'unavailable' ? 'ServiceUnavailable' : 'InvalidRequest', error.message];
}

/** The facts that S3's clients know by name. */
function fieldsOf({ reason, fields }: CloudError): Record<string, string> {
  const said = fields as Readonly<Record<string, unknown>>;
  const named: Readonly<Record<string, readonly (readonly [string, unknown])[]>> = {
    access_key_unknown: [['AWSAccessKeyId', said.access]],
    signature_mismatch: [
      ['AWSAccessKeyId', said.access],
      ['StringToSign', said.string_to_sign],
      ['SignatureProvided', said.signature],
      ['CanonicalRequest', said.canonical_request],
    ],
    signed_at_another_time: [
      ['RequestTime', said.time],
      ['ServerTime', said.now],
      ['MaxAllowedSkewMilliseconds', said.maximum_ms],
    ],
    signature_expired: [
      ['Expires', said.expired_at],
      ['ServerTime', said.now],
    ],
    object_not_found: [['Key', said.name]],
    object_deleted: [['Key', said.name]],
    object_version_not_found: [
      ['Key', said.name],
      ['VersionId', said.version],
    ],
    object_precondition_failed: [['Condition', conditionNames[String(said.condition)]]],
    container_not_found: [['BucketName', said.container]],
    container_not_empty: [['BucketName', said.container]],
    bucket_name_taken: [['BucketName', said.name]],
    container_name_invalid: [['BucketName', said.name]],
  };
  return Object.fromEntries((named[reason] ?? []).map(([name, value]) => [name, String(value ?? '')]));
}

const conditionNames: Readonly<Record<string, string>> = {
  if_match: 'If-Match',
  if_none_match: 'If-None-Match',
  if_modified_since: 'If-Modified-Since',
  if_unmodified_since: 'If-Unmodified-Since',
};

/** How long a client may go on sending what was refused. */
const drainMs = 5000;

/** Answers with the refusal. Defects are logged once, here, with their cause. */
export function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { raw } = reply;
  const { code, status, message, fields } = faultOf(error);
  if (status >= 500 && code !== 'NotImplemented') {
    const [url] = request.originalUrl.split('?', 1);
    request.log.error({ err: error, requestId: request.id, url }, 'request failed');
  }
  if (raw.headersSent) {
    raw.destroy();
    return;
  }
  if (!reply.sent) reply.hijack();
  dropBody(request);
  const bare = status === 304 || request.method === 'HEAD';
  const body = bare
    ? undefined
    : Buffer.from(
        errorDocument({
          code,
          message,
          fields,
          resource: request.originalUrl.split('?', 1)[0]!,
          requestId: request.id,
        }),
      );
  const headers = {
    ...(reply.getHeaders() as Record<string, string>),
    ...(body && { 'content-type': 'application/xml', 'content-length': body.length }),
    ...headersOf(error),
  };
  raw.writeHead(status, latin1(headers));
  raw.end(body);
}

function headersOf(error: unknown): Record<string, string> {
  if (!(error instanceof CloudError)) return {};
  const fields = error.fields as Readonly<Record<string, unknown>>;
  if (error.reason === 'object_not_modified') {
    return { etag: `"${fields.etag}"`, 'last-modified': new Date(String(fields.updated_at)).toUTCString() };
  }
  if (error.reason === 'object_deleted') {
    return {
      'x-amz-delete-marker': 'true',
      ...(fields.version !== 'null' && { 'x-amz-version-id': String(fields.version) }),
    };
  }
  return {};
}

function errorDocument(
  given: Pick<Fault, 'code' | 'message' | 'fields'> & { resource: string; requestId: string },
): string {
  const { code, message, fields, resource, requestId } = given;
  const more = Object.entries(fields).map(([name, value]): Node => [name, value]);
  return writeXml(
    'Error',
    [
      ['Code', code],
      ['Message', message],
      ...more,
      ['Resource', resource],
      ['RequestId', requestId],
      ['HostId', requestId],
    ],
    { bare: true },
  );
}

/** A client that still sends would lose our answer to a reset, so what it sends is dropped for a while. */
function dropBody({ raw }: FastifyRequest): void {
  if (raw.complete) return;
  raw.unpipe();
  raw.resume();
  const patience = setTimeout(() => raw.destroy(), drainMs).unref();
  for (const event of ['end', 'close']) raw.once(event, () => clearTimeout(patience));
}
