/** The form of mapping rules, as Keystone's schema of version 1.0 has it. */
import { Type } from 'typebox';

const closed = { additionalProperties: false };
const text = Type.String({ maxLength: 1024 });
const texts = Type.Array(text, { maxItems: 1000 });
const domain = Type.Object({ id: Type.Optional(text), name: Type.Optional(text) }, closed);

const user = Type.Object(
  {
    ...{
      id: Type.Optional(text),
      name: Type.Optional(text),
      email: Type.Optional(text),
      domain: Type.Optional(domain),
    },
    type: Type.Optional(Type.Union([Type.Literal('ephemeral'), Type.Literal('local')])),
  },
  closed,
);
const project = Type.Object(
  { name: text, roles: Type.Array(Type.Object({ name: text }, closed), { maxItems: 100 }) },
  closed,
);

const local = Type.Object(
  {
    user: Type.Optional(user),
    group: Type.Optional(Type.Union([Type.Object({ id: text }, closed), Type.Object({ name: text, domain }, closed)])),
    ...{ groups: Type.Optional(text), group_ids: Type.Optional(text), domain: Type.Optional(domain) },
    projects: Type.Optional(Type.Array(project, { maxItems: 100 })),
  },
  closed,
);

const asks = ['any_one_of', 'not_any_of', 'blacklist', 'whitelist'].map((kind) =>
  Type.Object({ type: text, [kind]: texts, regex: Type.Optional(Type.Boolean()) }, closed),
);
const remote = Type.Union([Type.Object({ type: text }, closed), ...asks]);

const rule = Type.Object(
  { local: Type.Array(local, { maxItems: 100 }), remote: Type.Array(remote, { minItems: 1, maxItems: 100 }) },
  closed,
);

export const mappingBody = Type.Object({
  mapping: Type.Object(
    {
      rules: Type.Array(rule, { minItems: 1, maxItems: 200 }),
      schema_version: Type.Optional(Type.Literal('1.0')),
    },
    { ...closed, examples: [{ rules: [{ local: [{ user: { name: '{0}' } }], remote: [{ type: 'sub' }] }] }] },
  ),
});
