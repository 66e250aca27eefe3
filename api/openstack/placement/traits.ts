/** /traits: the names that there are, OpenStack's of which a host may be one by itself, and administrators' own. */
import { Type } from 'typebox';
import { CloudError } from '../../../contract/errors.ts';
import type { ResourceProviderService } from '../../../control/compute/resource-provider/index.ts';
import { requireAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';

const since = { versions: { from: 6 } } as const;
const admin = { rights: 'admin' } as const;
const query = Type.Object(
  { name: Type.Optional(Type.String()), associated: Type.Optional(Type.String()) },
  { additionalProperties: false },
);
const list = { summary: 'List traits', ...admin, ...since, query, answers: { 200: a.traits } } as const;
const show = { summary: 'Is there such a trait?', ...admin, ...since, answers: { 204: null } } as const;
const put = { summary: 'Make a custom trait', ...admin, ...since, answers: { 201: null, 204: null } } as const;
const remove = { summary: 'Delete a custom trait', ...admin, ...since, answers: { 204: null } } as const;

const truths: Readonly<Record<string, boolean>> = { true: true, false: false };

export function traitRoutes(app: Boundary, providers: ResourceProviderService): void {
  app.get('/traits', list, async (request) => {
    const { name, associated } = request.query;
    const wanted = associated === undefined ? undefined : truths[associated.toLowerCase()];
    if (associated !== undefined && wanted === undefined)
      throw new Refusal('invalid', 'The query parameter "associated" only accepts "true" or "false"');
    const chosen = chooser(name);
    const traits = await providers.traits(callerOf(request), wanted === undefined ? {} : { associated: wanted });
    return { traits: traits.filter(chosen) };
  });
  app.get('/traits/:name', show, async (request, reply) => {
    const { name } = request.params;
    if (!(await providers.traits(callerOf(request))).includes(name))
      throw new CloudError('not_found', 'trait_not_found', { name });
    reply.code(204).send();
  });
  app.put('/traits/:name', put, async (request, reply) => {
    requireAdmin(callerOf(request), 'make a trait');
    const { name } = request.params;
    if (!/^CUSTOM_[A-Z0-9_]+$/.test(name) || name.length > 255) {
      const why =
        'The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "CUSTOM_"';
      throw new Refusal('invalid', `${why} and use following characters: "A"-"Z", "0"-"9" and "_"`);
    }
    const made = await providers.addTrait(callerOf(request), name);
    reply
      .code(made ? 201 : 204)
      .header('location', `/placement/traits/${name}`)
      .send();
  });
  app.delete('/traits/:name', remove, async (request, reply) => {
    const { name } = request.params;
    if (!name.startsWith('CUSTOM_') && (await providers.traits(callerOf(request))).includes(name))
      throw new Refusal('invalid', `Cannot delete standard trait ${name}.`);
    await providers.removeTrait(callerOf(request), name);
    reply.code(204).send();
  });
}

/** @throws Refusal `invalid` for a filter of no form */
function chooser(filter: string | undefined): (trait: string) => boolean {
  if (filter === undefined) return () => true;
  const [, way, rest = ''] = /^(in|startswith):(.*)$/s.exec(filter) ?? [];
  if (way === 'in') {
    const names = new Set(rest.split(','));
    return (trait) => names.has(trait);
  }
  if (way === 'startswith') return (trait) => trait.startsWith(rest);
  throw new Refusal(
    'invalid',
    'Badly formatted name parameter. Expected name query string parameter in form: ?name=[in|startswith]:[name1,name2|prefix].',
  );
}
