/** What pages of other origins may do with a bucket: its rules, what browsers ask beforehand, and what answers say. */
import type { OutgoingHttpHeaders } from 'node:http';
import { Type } from 'typebox';
import type { Call } from './call.ts';
import type { Operations } from './operations.ts';
import { S3Refusal } from './refusal.ts';
import type { Node } from './xml/write.ts';

const texts = Type.Optional(Type.Array(Type.String({ maxLength: 1024 }), { maxItems: 100 }));
const configuration = Type.Object({
  CORSRule: Type.Array(
    Type.Object({
      ID: Type.Optional(Type.String({ maxLength: 255 })),
      AllowedMethod: Type.Array(Type.String(), { minItems: 1, maxItems: 100 }),
      AllowedOrigin: Type.Array(Type.String({ maxLength: 1024 }), { minItems: 1, maxItems: 100 }),
      AllowedHeader: texts,
      ExposeHeader: texts,
      MaxAgeSeconds: Type.Optional(Type.Integer()),
    }),
    { minItems: 1, maxItems: 100 },
  ),
});

interface Rule {
  ID?: string;
  AllowedMethod: string[];
  AllowedOrigin: string[];
  AllowedHeader?: string[];
  ExposeHeader?: string[];
  MaxAgeSeconds?: number;
}

const methods = ['GET', 'PUT', 'HEAD', 'POST', 'DELETE'];

/** One star at most stands for anything. */
function fits(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === text;
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return text.length >= head.length + tail.length && text.startsWith(head) && text.endsWith(tail);
}

function requireRules(rules: readonly Rule[]): void {
  for (const rule of rules) {
    const method = rule.AllowedMethod.find((one) => !methods.includes(one));
    if (method !== undefined) {
      throw new S3Refusal(
        'InvalidRequest',
        `Found unsupported HTTP method in CORS config. Unsupported method is ${method.slice(0, 20)}`,
      );
    }
    const stars = [...rule.AllowedOrigin, ...(rule.AllowedHeader ?? [])].find((one) => one.split('*').length > 2);
    if (stars !== undefined)
      throw new S3Refusal('InvalidRequest', `"${stars.slice(0, 80)}" can not have more than one wildcard.`);
    const exposed = rule.ExposeHeader?.find((one) => one.includes('*'));
    if (exposed !== undefined)
      throw new S3Refusal(
        'InvalidRequest',
        `ExposeHeader "${exposed.slice(0, 80)}" contains wildcard. We currently do not support wildcard for ExposeHeader.`,
      );
  }
}

interface Asked {
  origin: string;
  method: string;
  /** In lower case. */
  headers: readonly string[];
}

/** The first rule that allows it all. */
function ruleFor(rules: readonly Rule[], { origin, method, headers }: Asked): Rule | undefined {
  return rules.find(
    (rule) =>
      rule.AllowedMethod.includes(method) &&
      rule.AllowedOrigin.some((one) => fits(one, origin)) &&
      headers.every((header) => rule.AllowedHeader?.some((one) => fits(one.toLowerCase(), header))),
  );
}

function headersOf(rule: Rule, { origin, headers }: Asked): OutgoingHttpHeaders {
  const any = rule.AllowedOrigin.includes('*');
  return {
    'access-control-allow-origin': any ? '*' : origin,
    'access-control-allow-methods': rule.AllowedMethod.join(', '),
    ...(!any && { 'access-control-allow-credentials': 'true' }),
    ...(headers.length > 0 && { 'access-control-allow-headers': headers.join(', ') }),
    ...(rule.ExposeHeader && { 'access-control-expose-headers': rule.ExposeHeader.join(', ') }),
    ...(rule.MaxAgeSeconds !== undefined && { 'access-control-max-age': String(rule.MaxAgeSeconds) }),
    vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
  };
}

/** As the cloud itself: the rules hold for who may do nothing else. */
async function rulesOf(call: Call): Promise<Rule[]> {
  const { settings } = await call.services.containers.show({ caller: null, granted: ['list'] }, await call.where());
  return (settings.cors as Rule[] | undefined) ?? [];
}

const forbidden = (why: string) => new S3Refusal('AccessForbidden', `CORSResponse: ${why}`);

/** Who asks beforehand has no signature. */
export async function answerPreflight(call: Call): Promise<void> {
  const origin = call.header('origin');
  const method = call.header('access-control-request-method');
  if (!origin || !method)
    throw new S3Refusal('InvalidRequest', 'Insufficient information. Origin request header needed.');
  const headers = (call.header('access-control-request-headers') ?? '')
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .filter((one) => one !== '');
  const rules = await rulesOf(call);
  if (rules.length === 0) throw forbidden('CORS is not enabled for this bucket.');
  const asked = { origin, method, headers };
  const rule = ruleFor(rules, asked);
  if (!rule)
    throw forbidden(
      'This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource’s CORS spec.',
    );
  call.done(200, headersOf(rule, asked));
}

/** What the answer of an ordinary request says, a refusal too. */
export async function sayOrigin(call: Call): Promise<void> {
  const origin = call.header('origin');
  // One with other characters is none (RFC 6454, section 7), and could not be told back.
  if (origin === undefined || !/^[\x21-\x7e]+$/.test(origin) || call.target.bucket === undefined) return;
  const asked = { origin, method: call.request.method, headers: [] };
  const rule = ruleFor(await rulesOf(call).catch(() => []), asked);
  if (rule) call.reply.headers(headersOf(rule, asked) as Record<string, string>);
}

const nodeOf = (rule: Rule): Node => [
  'CORSRule',
  [
    rule.ID === undefined ? undefined : ['ID', rule.ID],
    ...rule.AllowedMethod.map((one): Node => ['AllowedMethod', one]),
    ...rule.AllowedOrigin.map((one): Node => ['AllowedOrigin', one]),
    ...(rule.AllowedHeader ?? []).map((one): Node => ['AllowedHeader', one]),
    ...(rule.ExposeHeader ?? []).map((one): Node => ['ExposeHeader', one]),
    rule.MaxAgeSeconds === undefined ? undefined : ['MaxAgeSeconds', rule.MaxAgeSeconds],
  ],
];

export const corsOperations: Operations = {
  GetBucketCors: {
    ...{ method: 'GET', level: 'bucket', by: ['cors'], rights: 'open' },
    summary: 'what pages of other origins may do with a bucket',
    async run(call) {
      const { settings } = await call.services.containers.show(call.visitor, await call.where(), 'own');
      if (!settings.cors) throw new S3Refusal('NoSuchCORSConfiguration', 'The CORS configuration does not exist');
      call.xml('CORSConfiguration', (settings.cors as Rule[]).map(nodeOf));
    },
  },
  PutBucketCors: {
    ...{ method: 'PUT', level: 'bucket', by: ['cors'], rights: 'open', body: configuration, silent: true },
    summary: 'says what pages of other origins may do with a bucket',
    async run(call) {
      const { CORSRule: rules } = call.requireDocument<{ CORSRule: Rule[] }>();
      requireRules(rules);
      await call.services.containers.update(call.visitor, await call.where(), { settings: { cors: rules } });
      call.done();
    },
  },
  DeleteBucketCors: {
    ...{ method: 'DELETE', level: 'bucket', by: ['cors'], rights: 'open', silent: true },
    summary: 'closes a bucket to pages of other origins',
    async run(call) {
      await call.services.containers.update(call.visitor, await call.where(), { settings: { cors: null } });
      call.done(204);
    },
  },
};
