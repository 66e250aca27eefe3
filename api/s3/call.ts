/** One request, as the operations see it: what it names and says, who asks, and the ways to answer. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import type { SignedRequests, Visit as SignedVisit } from '../../control/identity/index.ts';
import type { ContainerService, ObjectService, UploadService, Visit, Where } from '../../control/object/index.ts';
import { fits } from '../boundary/check.ts';
import { unstorable } from '../boundary/storable.ts';
import { type Body, bodyOf, readWhole } from './body.ts';
import { S3Refusal } from './refusal.ts';
import type { Target } from './target.ts';
import { documentOf } from './xml/document.ts';
import { MalformedXml, readXml } from './xml/read.ts';
import { type Node, writeXml } from './xml/write.ts';

export interface S3Services {
  containers: ContainerService;
  objects: ObjectService;
  uploads: UploadService;
  /** Of the cloud, as its catalogue names it. */
  region: string;
}

/** How long a document may take to come; bytes of objects have no such bound. */
const documentMs = 120_000;

export const malformedXml = (why?: string): S3Refusal =>
  new S3Refusal(
    'MalformedXML',
    'The XML you provided was not well-formed or did not validate against our published schema',
    why === undefined ? {} : { Reason: why.slice(0, 255) },
  );

/** Node reads headers byte for byte; clients write, and sign, UTF-8. */
export const asText = (header: string): string =>
  /^[\x20-\x7e]*$/.test(header) ? header : Buffer.from(header, 'latin1').toString('utf8');

export class Call {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly target: Target;
  readonly services: S3Services;
  readonly signedRequests: SignedRequests;
  readonly visitor: Visit;
  readonly #signed: Pick<SignedVisit, 'payload' | 'chunks'>;
  #where: Promise<Where> | undefined;
  #guessed = false;
  #body: Body | undefined;
  #document: unknown;

  constructor(given: {
    request: FastifyRequest;
    reply: FastifyReply;
    target: Target;
    services: S3Services;
    signedRequests: SignedRequests;
    /** Absent: nobody asked who it is. */
    signed?: SignedVisit;
    visitor?: Visit;
  }) {
    this.request = given.request;
    this.reply = given.reply;
    this.target = given.target;
    this.services = given.services;
    this.signedRequests = given.signedRequests;
    this.#signed = given.signed ?? { payload: 'UNSIGNED-PAYLOAD' };
    this.visitor = given.visitor ?? { caller: null };
  }

  get bucket(): string {
    return this.target.bucket!;
  }

  get key(): string {
    return this.target.key!;
  }

  /** Of the body, as the client said it. */
  get contentType(): string {
    return asText(this.request.givenType ?? '');
  }

  /** In S3's values UTF-8 stands as it is. */
  header(name: string): string | undefined {
    const value = this.request.raw.headers[name];
    return value === undefined ? undefined : asText(String(value));
  }

  query(name: string): string | undefined {
    return this.target.query.get(name);
  }

  /** The bucket's container: the own project's comes first, so it is asked for at once. @throws S3Refusal `NoSuchBucket` */
  where(): Promise<Where> {
    this.#where ??= this.#guess() ?? this.whereOf(this.bucket);
    return this.#where;
  }

  #guess(): Promise<Where> | undefined {
    const { caller } = this.visitor;
    // Who may do nothing at home would hear that instead of what another project's bucket grants.
    if (!caller?.projectId || !['reader', 'member', 'manager', 'admin'].some((role) => caller.roles.has(role)))
      return undefined;
    const expected = this.header('x-amz-expected-bucket-owner');
    if (expected !== undefined && expected !== caller.projectId) return undefined;
    this.#guessed = true;
    return Promise.resolve({ projectId: caller.projectId, container: this.bucket });
  }

  /** After the own project had none: whether another one's is meant. @throws S3Refusal `NoSuchBucket` */
  async lookElsewhere(): Promise<boolean> {
    if (!this.#guessed) return false;
    this.#guessed = false;
    const before = await this.#where;
    this.#where = this.whereOf(this.bucket);
    return (await this.#where).projectId !== before?.projectId;
  }

  /** @param expected whose it must be; null: anybody's */
  async whereOf(
    bucket: string,
    expected: string | null = this.header('x-amz-expected-bucket-owner') ?? null,
  ): Promise<Where> {
    const where = await this.services.containers.resolveBucket(this.visitor, bucket);
    if (where && expected !== null && expected !== where.projectId)
      throw new S3Refusal('AccessDenied', 'Access Denied');
    if (!where) throw new S3Refusal('NoSuchBucket', 'The specified bucket does not exist', { BucketName: bucket });
    return where;
  }

  body(): Body {
    this.#body ??= bodyOf(this.request.raw, this.#signed);
    return this.#body;
  }

  whole(maxBytes: number): Promise<Buffer> {
    return readWhole(this.body(), maxBytes);
  }

  /** What {@link readDocument} has read. */
  document<T>(): T {
    return this.#document as T;
  }

  /** The body as XML, by its schema; without one where nothing was sent. @throws S3Refusal */
  async readDocument(schema: TSchema, maxBytes: number): Promise<void> {
    const { raw } = this.request;
    const patience = setTimeout(() => raw.destroy(), documentMs).unref();
    const bytes = await this.whole(maxBytes).finally(() => clearTimeout(patience));
    if (bytes.length === 0) return;
    const text = bytes.toString('utf8');
    try {
      if (!Buffer.from(text).equals(bytes)) throw new MalformedXml('it is no UTF-8');
      const document = documentOf(readXml(text), schema);
      const why = unstorable(document);
      if (why !== undefined) throw new MalformedXml(why);
      if (!fits(schema, document)) throw new MalformedXml('it has not what its schema asks for');
      this.#document = document;
    } catch (error) {
      if (error instanceof MalformedXml) throw malformedXml(error.message);
      throw error;
    }
  }

  /** @throws S3Refusal */
  requireDocument<T>(): T {
    if (this.#document === undefined) throw malformedXml('there is none');
    return this.#document as T;
  }

  xml(name: string, content: string | readonly Node[], headers: OutgoingHttpHeaders = {}): void {
    this.send(200, headers, writeXml(name, content));
  }

  done(status = 200, headers: OutgoingHttpHeaders = {}): void {
    this.send(status, headers);
  }

  /** Without Fastify's hooks for bodies: an answer of S3's has no form but its own. */
  send(status: number, headers: OutgoingHttpHeaders, body?: string): void {
    const bytes = body === undefined ? undefined : Buffer.from(body);
    this.begin(status, {
      ...(bytes && { 'content-type': 'application/xml', 'content-length': bytes.length }),
      ...(!bytes && status !== 204 && status !== 304 && { 'content-length': 0 }),
      ...headers,
    }).end(bytes);
  }

  /** Writes the head; the body is the caller's to send. */
  begin(status: number, headers: OutgoingHttpHeaders) {
    const { raw } = this.reply.hijack();
    const sent = { ...this.reply.getHeaders(), ...headers };
    raw.writeHead(status, latin1(sent as OutgoingHttpHeaders));
    return raw;
  }
}

/** Node writes headers byte for byte, and throws for what no header can have: what a form or a query brought in may be anything. */
export function latin1(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || !isToken.test(name)) delete headers[name];
    else if (typeof value === 'string' && !/^[\x20-\x7e]*$/.test(value)) {
      headers[name] = Buffer.from(value.replace(/\p{Cc}/gu, ' ')).toString('latin1');
    }
  }
  return headers;
}

export const isToken = /^[\w!#$%&'*+.^`|~-]+$/;
