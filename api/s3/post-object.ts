/** An upload by a form of a browser: the fields come first, the file last; whoever signed its policy uploads. */
import { Readable } from 'node:stream';
import { boundaryOf, type FormPart, partsOf } from '../openstack/object/multipart-form.ts';
import { type Call, isToken } from './call.ts';
import { requireLockable } from './lock.ts';
import { writtenHeaders } from './objects.ts';
import { boundsOf, readPostPolicy, requireAllowed } from './post-policy.ts';
import { S3Refusal } from './refusal.ts';
import { checksumsOf, md5Of, wishOf } from './wish.ts';
import { writeXml } from './xml/write.ts';

/** In a key: the name of the file as the browser tells it. */
const filename = '$' + '{filename}';
const fieldBytes = 20 * 1024;
const mostFields = 100;

const malformed = (why: string) =>
  new S3Refusal('MalformedPOSTRequest', `The body of your POST request is not well-formed multipart/form-data: ${why}`);

interface Form {
  /** By names in lower case. */
  fields: Map<string, string>;
  file: FormPart;
}

/** What stands behind the file is not looked at, as in S3. */
async function readForm(call: Call, boundary: string): Promise<Form> {
  const fields = new Map<string, string>();
  const parts = partsOf(call.request.raw as AsyncIterable<Buffer>, boundary);
  for (;;) {
    const next = await parts.next();
    if (next.done)
      throw new S3Refusal('InvalidArgument', 'POST requires exactly one file upload per request.', {
        ArgumentName: 'file',
        ArgumentValue: '0',
      });
    const part = next.value;
    const name = part.name.toLowerCase();
    if (name === 'file') return { fields, file: part };
    if (fields.size >= mostFields) throw malformed('too many fields');
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of part.bytes()) {
      size += piece.length;
      if (size > fieldBytes)
        throw new S3Refusal(
          'MaxPostPreDataLengthExceeded',
          'Your POST request fields preceding the upload file were too large.',
        );
      pieces.push(Buffer.from(piece));
    }
    fields.set(name, Buffer.concat(pieces).toString('utf8'));
  }
}

export async function postObject(call: Call): Promise<void> {
  const boundary = boundaryOf(call.contentType);
  if (boundary === undefined) throw malformed('its boundary is missing');
  const { fields, file } = await readForm(call, boundary);
  const key = fields.get('key')?.replaceAll(filename, (file.filename ?? '').replace(/^.*[\\/]/, ''));
  if (!key)
    throw new S3Refusal(
      'InvalidArgument',
      "Bucket POST must contain a field named 'key'. If it is specified, please check the order of the fields.",
    );
  const { visitor, most, least } = await uploaderOf(call, fields, key);
  const said = headersOf(call, fields, file);
  const md5 = md5Of(said);
  const wish = wishOf(said);
  if (wish.lock) await requireLockable(call);
  const put = await call.services.objects.put(
    visitor,
    await call.where(),
    key,
    { bytes: Readable.from(bounded(file.bytes(), { least, most }), { objectMode: false }), sizeBytes: undefined },
    { ...wish, checksums: checksumsOf(said), ...(md5 && { md5 }) },
  );
  answer(call, { fields, key, etag: `"${put.etag}"`, headers: writtenHeaders(put) });
}

/** Without a policy nobody uploads but where everybody may. */
async function uploaderOf(call: Call, fields: ReadonlyMap<string, string>, key: string) {
  const encoded = fields.get('policy');
  if (encoded === undefined) return { visitor: call.visitor, least: 0, most: Number.POSITIVE_INFINITY };
  const [algorithm, credential, time, signature] = ['algorithm', 'credential', 'date', 'signature'].map((name) =>
    fields.get(`x-amz-${name}`),
  );
  if (algorithm !== 'AWS4-HMAC-SHA256' || !credential || !time || !signature) {
    throw new S3Refusal(
      'InvalidArgument',
      'Bucket POST must contain the fields x-amz-algorithm (AWS4-HMAC-SHA256), x-amz-credential, x-amz-date and x-amz-signature.',
    );
  }
  const caller = await call.signedRequests.signerOf({ policy: encoded, credential, time, signature }, call.request.id);
  const policy = readPostPolicy(encoded);
  if (policy.expiresAt <= Date.now())
    throw new S3Refusal('AccessDenied', 'Invalid according to Policy: Policy expired.');
  requireAllowed(policy, new Map([...fields, ['bucket', call.bucket], ['key', key]]));
  call.visitor.caller = caller;
  return { visitor: call.visitor, ...boundsOf(policy) };
}

/** Fields are what headers are elsewhere. */
function headersOf(call: Call, fields: ReadonlyMap<string, string>, file: FormPart) {
  const headers: Record<string, string> = {};
  for (const [name, value] of fields) {
    if (name.startsWith('x-amz-meta-') && !isToken.test(name))
      throw malformed('the name of a header has other characters');
    if (/^(x-amz-(?!algorithm|credential|date|signature|security-token)|cache-control$|content-|expires$)/.test(name))
      headers[name] = value;
  }
  const acl = fields.get('acl');
  if (acl !== undefined) headers['x-amz-acl'] = acl;
  const type = fields.get('content-type') ?? file.headers['content-type'];
  if (type !== undefined) headers['content-type'] = type;
  const tags = fields.get('tagging');
  if (tags) throw new S3Refusal('NotImplemented', 'This cloud does not have tags of forms');
  return {
    header: (name: string) => headers[name],
    request: { raw: { headers } } as unknown as Call['request'],
    body: () => call.body(),
    get contentType() {
      return headers['content-type'];
    },
  };
}

async function* bounded(
  bytes: AsyncIterable<Buffer>,
  { least, most }: { least: number; most: number },
): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const piece of bytes) {
    size += piece.length;
    if (size > most)
      throw new S3Refusal('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size', {
        MaxSizeAllowed: String(most),
      });
    yield Buffer.from(piece);
  }
  if (size < least)
    throw new S3Refusal('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', {
      MinSizeAllowed: String(least),
    });
}

function answer(
  call: Call,
  { fields, key, etag, headers }: { fields: ReadonlyMap<string, string>; key: string; etag: string; headers: object },
): void {
  const location = `https://${call.request.headers.host}/${call.bucket}/${encodeURIComponent(key).replaceAll('%2F', '/')}`;
  const page = fields.get('success_action_redirect') ?? fields.get('redirect');
  if (page !== undefined && URL.canParse(page) && /^https?:$/.test(new URL(page).protocol)) {
    const url = new URL(page);
    for (const [name, value] of [
      ['bucket', call.bucket],
      ['key', key],
      ['etag', etag],
    ] as const)
      url.searchParams.append(name, value);
    call.send(303, { ...headers, location: url.href });
    return;
  }
  const status = Number(fields.get('success_action_status'));
  if (status !== 201) {
    call.send(status === 200 ? 200 : 204, { ...headers, location });
    return;
  }
  const told = [
    ['Location', location],
    ['Bucket', call.bucket],
    ['Key', key],
    ['ETag', etag],
  ] as const;
  call.send(201, { ...headers, location }, writeXml('PostResponse', told, { bare: true }));
}
