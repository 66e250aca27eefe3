/** What a request's headers wish of an object. What S3 knows and this cloud does not is refused by its name. */
import type { ChecksumWish, Conditions, ObjectHeaders, ObjectLock, ObjectWish } from '../../control/object/index.ts';
import type { Call } from './call.ts';
import { algorithmNamed } from './describe.ts';
import { invalidArgument, notImplemented, S3Refusal } from './refusal.ts';
import { tagsOfQuery } from './tags.ts';

type Headers = Pick<Call, 'header' | 'request'> & { readonly contentType: string | undefined };

/** Of the new object but for conditions and sums. @throws S3Refusal */
export function wishOf(call: Headers): Pick<ObjectWish, 'contentType' | 'metadata' | 'headers' | 'tags' | 'lock'> {
  refuseMissing(call);
  const tags = call.header('x-amz-tagging');
  const lock = lockOf(call);
  return {
    contentType: call.contentType || 'binary/octet-stream',
    metadata: metadataOf(call),
    headers: keptOf(call),
    ...(tags !== undefined && { tags: tagsOfQuery(tags) }),
    ...(lock && { lock }),
  };
}

const classes = ['STANDARD'];

function refuseMissing(call: Pick<Call, 'header' | 'request'>): void {
  const storage = call.header('x-amz-storage-class');
  if (storage !== undefined && !classes.includes(storage)) {
    throw new S3Refusal(
      'InvalidStorageClass',
      `The storage class you specified is not valid: this cloud has ${classes[0]} only`,
    );
  }
  for (const name of Object.keys(call.request.raw.headers)) {
    if (name.startsWith('x-amz-server-side-encryption'))
      throw notImplemented(`encryption on the server's side (${name})`);
    if (name.startsWith('x-amz-grant-'))
      throw notImplemented(`grants by header (${name}); x-amz-acl takes the canned ones`);
  }
  if (call.header('x-amz-write-offset-bytes') !== undefined) throw notImplemented('appending to objects');
}

const cannedOfObjects: Readonly<Record<string, boolean>> = {
  private: false,
  'bucket-owner-read': false,
  'bucket-owner-full-control': false,
  'public-read': true,
  'authenticated-read': true,
};

function keptOf(call: Pick<Call, 'header' | 'request'>): ObjectHeaders {
  const encoding = call
    .header('content-encoding')
    ?.split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '' && one.toLowerCase() !== 'aws-chunked')
    .join(',');
  const headers: ObjectHeaders = {
    ...(encoding && { contentEncoding: encoding }),
    ...given('contentDisposition', call.header('content-disposition')),
    ...given('cacheControl', call.header('cache-control')),
    ...given('contentLanguage', call.header('content-language')),
    ...given('expires', call.header('expires')),
    ...given('x-amz-website-redirect-location', call.header('x-amz-website-redirect-location')),
  };
  const acl = call.header('x-amz-acl');
  if (acl === undefined) return headers;
  const kept = Object.hasOwn(cannedOfObjects, acl) ? cannedOfObjects[acl] : undefined;
  if (kept === undefined) throw notImplemented(`the ACL ${acl.slice(0, 60)} of objects`);
  return kept ? { ...headers, 'x-amz-acl': acl } : headers;
}

const given = (name: string, value: string | undefined): ObjectHeaders => (value ? { [name]: value } : {});

function metadataOf(call: Pick<Call, 'header' | 'request'>): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const name of Object.keys(call.request.raw.headers)) {
    if (name.startsWith('x-amz-meta-')) metadata[name.slice('x-amz-meta-'.length)] = call.header(name)!;
  }
  return metadata;
}

export function lockOf(call: Pick<Call, 'header'>): ObjectLock | undefined {
  const [mode, until, hold] = ['mode', 'retain-until-date', 'legal-hold'].map((name) =>
    call.header(`x-amz-object-lock-${name}`),
  );
  if (mode === undefined && until === undefined && hold === undefined) return undefined;
  if ((mode === undefined) !== (until === undefined)) {
    throw new S3Refusal(
      'InvalidArgument',
      'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied',
    );
  }
  const lock: ObjectLock = {};
  if (mode !== undefined) Object.assign(lock, retentionOf(mode, until!));
  if (hold !== undefined) {
    if (hold !== 'ON' && hold !== 'OFF')
      throw invalidArgument('Unknown legal hold', 'x-amz-object-lock-legal-hold', hold);
    lock.legalHold = hold === 'ON';
  }
  return lock;
}

/** @throws S3Refusal */
export function retentionOf(mode: string, until: string): Required<Pick<ObjectLock, 'mode' | 'retainUntil'>> {
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE')
    throw invalidArgument('Unknown wormMode directive.', 'mode', mode);
  const end = Date.parse(until);
  if (!(end > Date.now())) throw new S3Refusal('InvalidArgument', 'The retain until date must be in the future!');
  return { mode, retainUntil: new Date(end).toISOString() };
}

/** Content-MD5 in hexadecimal. @throws S3Refusal */
export function md5Of(call: Pick<Call, 'header'>): string | undefined {
  const said = call.header('content-md5');
  if (said === undefined) return undefined;
  const bytes = Buffer.from(said, 'base64');
  if (bytes.length !== 16) throw new S3Refusal('InvalidDigest', 'The Content-MD5 you specified was invalid.');
  return bytes.toString('hex');
}

/** The sums that the client says or will say, and those that it wants. @throws S3Refusal */
export function checksumsOf(call: Pick<Call, 'header' | 'request' | 'body'>): ChecksumWish[] {
  const wishes: ChecksumWish[] = [];
  for (const name of Object.keys(call.request.raw.headers)) {
    const algorithm = name.startsWith('x-amz-checksum-')
      ? algorithmNamed(name.slice('x-amz-checksum-'.length))
      : undefined;
    if (algorithm) wishes.push({ algorithm, value: call.header(name)! });
  }
  const trailer = call.header('x-amz-trailer')?.trim().toLowerCase();
  if (trailer !== undefined) {
    const algorithm = trailer.startsWith('x-amz-checksum-')
      ? algorithmNamed(trailer.slice('x-amz-checksum-'.length))
      : undefined;
    if (!algorithm)
      throw new S3Refusal(
        'InvalidRequest',
        `The value specified in the x-amz-trailer header is not supported: ${trailer.slice(0, 80)}`,
      );
    wishes.push({ algorithm, value: () => announced(call.body().trailer(trailer)) });
  }
  if (wishes.length > 1)
    throw new S3Refusal(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  const wanted = wantedAlgorithm(call);
  if (wanted && wishes.length > 0 && wishes[0]!.algorithm !== wanted) {
    throw new S3Refusal(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm specified, but it is of another checksum than that of the request',
    );
  }
  return wishes.length > 0 || !wanted ? wishes : [{ algorithm: wanted }];
}

function announced(sum: string | undefined): string {
  if (sum !== undefined) return sum;
  throw new S3Refusal(
    'MalformedTrailerError',
    'The request contained trailing data that was not well-formed or did not conform to our published schema.',
  );
}

/** @throws S3Refusal for one that S3 does not know */
export function wantedAlgorithm(call: Pick<Call, 'header'>) {
  const said = call.header('x-amz-checksum-algorithm') ?? call.header('x-amz-sdk-checksum-algorithm');
  if (said === undefined) return undefined;
  const algorithm = algorithmNamed(said);
  if (algorithm) return algorithm;
  throw new S3Refusal(
    'InvalidRequest',
    'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
  );
}

/** @param prefix of the headers: that of a copy's source is longer */
export function conditionsOf(call: Pick<Call, 'header'>, prefix = ''): Conditions {
  const [match, noneMatch] = [tagsOf(call.header(`${prefix}if-match`)), tagsOf(call.header(`${prefix}if-none-match`))];
  const [modified, unmodified] = ['if-modified-since', 'if-unmodified-since'].map((name) =>
    timeOf(call.header(`${prefix}${name}`)),
  );
  return {
    ...(match && { ifMatch: match }),
    ...(noneMatch && { ifNoneMatch: noneMatch }),
    ...(modified && { ifModifiedSince: modified }),
    ...(unmodified && { ifUnmodifiedSince: unmodified }),
  };
}

/** Of Swift's large objects we tell a tag with a number behind it (describe.ts); it is kept without. */
function tagsOf(said: string | undefined): string[] | undefined {
  return said?.split(',').flatMap((one) => {
    const tag = one
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1');
    const [, bare] = /^([0-9a-f]{32})-\d+$/.exec(tag) ?? [];
    return bare === undefined ? tag : [tag, bare];
  });
}

/** What is no time is no condition (RFC 9110, section 13.1.3). */
function timeOf(said: string | undefined): Date | undefined {
  const at = said === undefined ? Number.NaN : Date.parse(said);
  return Number.isNaN(at) ? undefined : new Date(at);
}

/** Of a write: S3 knows these two. @throws S3Refusal */
export function writeConditionsOf(call: Pick<Call, 'header'>): Pick<Conditions, 'ifMatch' | 'ifNoneMatch'> {
  const { ifMatch, ifNoneMatch } = conditionsOf(call);
  if (ifNoneMatch && (ifNoneMatch.length !== 1 || ifNoneMatch[0] !== '*'))
    throw notImplemented('If-None-Match of a write with another value than *');
  return { ...(ifMatch && { ifMatch }), ...(ifNoneMatch && { ifNoneMatch: '*' }) };
}
