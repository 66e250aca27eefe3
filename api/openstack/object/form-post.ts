/** Uploads from a page's form, which somebody with a key has signed: how many files, how large, until when, under which names. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isCloudError } from '../../../contract/errors.ts';
import { isObjectName } from '../../../control/object/index.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { answer } from './answer.ts';
import { statusLine } from './faults.ts';
import { typeOfName } from './media-types.ts';
import { type FormPart, partsOf } from './multipart-form.ts';
import { expiryOf as objectExpiry } from './object-headers.ts';
import { granted, type Names, whereOf } from './request.ts';
import { keysOf } from './signed.ts';
import { expiryOf, isSignature, signatureOf } from './temp-url.ts';
import { archiveBefore, type Services } from './write-parts.ts';

const maxFieldBytes = 64 * 1024;
const maxFields = 100;

const wrong = (what: string) => new Refusal('invalid', `FormPost: ${what}`);
const denied = (what: string) => new Refusal('unauthenticated', `FormPost: ${what}`);

export async function postForm(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
  boundary: string,
): Promise<FastifyReply> {
  const fields: Record<string, string> = {};
  let files = 0;
  let form: Awaited<ReturnType<typeof verified>> | undefined;
  try {
    for await (const part of partsOf(request.raw as AsyncIterable<Buffer>, boundary)) {
      if (part.filename === undefined) {
        if (Object.keys(fields).length >= maxFields) throw wrong('Too Many Fields');
        fields[part.name.toLowerCase()] = await textOf(part);
        continue;
      }
      // A browser sends a file that nobody has chosen as one without a name.
      if (part.filename === '') continue;
      form ??= await verified(request, services, fields);
      if (++files > form.maxCount) throw wrong('Max_File_Count Exceeded');
      await keep(request, services, { part, fields, maxBytes: form.maxBytes });
    }
    form ??= await verified(request, services, fields);
    if (files === 0) throw wrong('No Files To Process');
  } catch (error) {
    if (!form?.redirect || !isCloudError(error)) throw error;
    const status = isCloudError(error, 'too_large', 'quota_exceeded') ? 413 : 400;
    return redirected(reply, form.redirect, status, error instanceof Refusal ? error.sentence : error.message);
  }
  if (form.redirect) return redirected(reply, form.redirect, 201, '');
  return answer(reply, {
    status: 201,
    headers: { 'content-type': 'text/plain' },
    body: '201 Created\r\nFormPost: \r\n',
  });
}

function redirected(reply: FastifyReply, to: string, status: number, message: string): FastifyReply {
  const query = `status=${status}&message=${encodeURIComponent(message)}`;
  const location = `${to}${to.includes('?') ? '&' : '?'}${query}`;
  return answer(reply, { status: 303, headers: { Location: encodedLine(location) }, body: statusLine(303) });
}

/** Of a form's text what a header can have. */
const encodedLine = (text: string): string => text.replace(/[\r\n]/g, '').replace(/[^\x20-\x7e]+/g, encodeURIComponent);

async function textOf(part: FormPart): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of part.bytes()) {
    size += piece.length;
    if (size > maxFieldBytes) throw wrong('Field Too Long');
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces).toString('utf8').trim();
}

/** What the signature promises. @throws Refusal in Swift's words */
async function verified(request: FastifyRequest, services: Services, fields: Readonly<Record<string, string>>) {
  const { redirect = '', max_file_size = '0', max_file_count = '0', expires = '', signature = '' } = fields;
  const expiresAt = expiryOf(expires);
  if (!expiresAt) throw wrong('Expired Not An Integer');
  if (!/^\d{1,15}$/.test(max_file_size)) throw wrong('Max_File_Size Not An Integer');
  if (!/^\d{1,9}$/.test(max_file_count)) throw wrong('Max_File_Count Not An Integer');
  if (expiresAt <= new Date()) throw denied('Form Expired');
  const read = signatureOf(signature);
  if (!read) throw denied('Invalid Signature');
  const { account, container, object } = request.params as Names;
  const path = `/v1/${account}/${container}${object === undefined ? '' : `/${object}`}`;
  const keys = await keysOf(services.containers, whereOf(request));
  const texts = [`/object${path}`, path, ...(object === undefined ? [`/object${path}/`, `${path}/`] : [])].map((one) =>
    [one, redirect, max_file_size, max_file_count, expires].join('\n'),
  );
  const signer = keys.find(({ key }) => texts.some((text) => isSignature(read, key, text)));
  if (!signer) throw denied('Invalid Signature');
  request.visit = granted({ caller: null }, ['write'], signer.opens);
  return { redirect, maxBytes: Number(max_file_size), maxCount: Number(max_file_count) };
}

async function keep(
  request: FastifyRequest,
  services: Services,
  { part, fields, maxBytes }: { part: FormPart; fields: Readonly<Record<string, string>>; maxBytes: number },
): Promise<void> {
  const name = `${(request.params as Names).object ?? ''}${part.filename}`;
  if (!isObjectName(name)) throw wrong('Invalid Filename');
  const where = whereOf(request);
  const times = {
    ...(fields.x_delete_at !== undefined && { 'x-delete-at': wholeNumber('X_Delete_At', fields.x_delete_at) }),
    ...(fields.x_delete_after !== undefined && {
      'x-delete-after': wholeNumber('X_Delete_After', fields.x_delete_after),
    }),
  };
  const expiresAt = objectExpiry(times);
  await archiveBefore(request, services, where, name);
  const encoding = part.headers['content-encoding'];
  await services.objects.put(
    request.visit,
    where,
    name,
    { bytes: Readable.from(limited(part, maxBytes), { objectMode: false }) },
    {
      contentType: part.headers['content-type'] ?? typeOfName(name),
      ...(encoding !== undefined && { headers: { contentEncoding: encoding } }),
      ...(expiresAt && { expiresAt }),
    },
  );
}

function wholeNumber(name: string, text: string): string {
  if (!/^\d{1,11}$/.test(text)) throw wrong(`${name} Not An Integer`);
  return text;
}

async function* limited(part: FormPart, maxBytes: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const piece of part.bytes()) {
    size += piece.length;
    if (size > maxBytes) throw new Refusal('too_large', 'FormPost: Max_File_Size Exceeded');
    yield piece;
  }
}
