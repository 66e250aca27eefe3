/** Options of domains. The same three depths everywhere: all, a group of options, one option. */
import { Type } from 'typebox';
import type { ConfigPlace, DomainOptions } from '../../../../control/identity/domain-config.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { quiet, shows } from '../contracts.ts';
import { domainId, type Routes } from '../resource.ts';

const section = Type.Record(Type.String(), Type.Unknown());
const whole = Type.Object({ config: Type.Record(Type.String(), section) });
const options = a.one('config', Type.Record(Type.String(), Type.Unknown()));

const contracts = {
  show: shows('Show options of a domain', 'admin', options),
  /** What passwords must be like is for everybody who has one. */
  showOne: shows('Show options of a domain', 'caller', options),
  put: {
    summary: 'Set the options of a domain',
    rights: 'admin',
    body: whole,
    answers: { 200: options, 201: options },
  },
  update: { summary: 'Change options of a domain', rights: 'admin', body: whole, answers: { 200: options } },
  updateOne: {
    summary: 'Change an option of a domain',
    rights: 'admin',
    body: Type.Object({ config: section }),
    answers: { 200: options },
  },
  remove: quiet('Remove options of a domain', 'admin'),
  defaults: shows('Show what options are by default', 'admin', options),
} as const;

type Given = { params: Partial<Record<'id' | 'group' | 'option', string>> };

const placeOf = ({ params: { group, option } }: Given): ConfigPlace => ({
  ...(group !== undefined && { section: group }),
  ...(option !== undefined && { option }),
});

/** A single option is told without its group. */
const told = (found: DomainOptions, { section: group, option }: ConfigPlace) => ({
  config: option === undefined ? found : found[group!],
});

export const domainConfigRoutes: Routes = (app, deps) => {
  const { domainConfig } = deps.identity;
  const url = '/v3/domains/:id/config';
  const depths = [url, `${url}/:group`, `${url}/:group/:option`] as const;

  for (const path of [
    '/v3/domains/config/default',
    '/v3/domains/config/:group/default',
    '/v3/domains/config/:group/:option/default',
  ]) {
    app.read(path, contracts.defaults, (request) => {
      const place = placeOf(request as Given);
      return told(domainConfig.defaults(callerOf(request), place), place);
    });
  }
  app.put(url, contracts.put, async (request, reply) => {
    const { config, made } = await domainConfig.put(
      callerOf(request),
      domainId(deps, request.params.id),
      request.body.config,
    );
    return reply.code(made ? 201 : 200).send({ config });
  });
  for (const path of depths) {
    app.read(path, path === url ? contracts.show : contracts.showOne, async (request) => {
      const place = placeOf(request as Given);
      return told(await domainConfig.get(callerOf(request), domainId(deps, request.params.id), place), place);
    });
    app.delete(path, contracts.remove, async (request, reply) => {
      await domainConfig.delete(callerOf(request), domainId(deps, request.params.id), placeOf(request as Given));
      return reply.code(204).send();
    });
  }
  for (const path of depths.slice(0, 2)) {
    app.patch(path, contracts.update, async (request) => {
      const place = placeOf(request as Given);
      const id = domainId(deps, (request as { params: { id: string } }).params.id);
      return { config: await domainConfig.update(callerOf(request), id, place, request.body.config) };
    });
  }
  app.patch(depths[2], contracts.updateOne, async (request) => {
    const { id, group } = request.params;
    const change = { [group]: request.body.config };
    return { config: await domainConfig.update(callerOf(request), domainId(deps, id), placeOf(request), change) };
  });
};
