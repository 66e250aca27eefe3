/** Services, endpoints and regions: read from what the cloud was started with. They are not rows, so nothing here writes. */
import type { FastifyRequest } from 'fastify';
import { parseId } from '../../../../contract/ids.ts';
import { requireReader } from '../../../../control/identity/rights.ts';
import { type Noun, notFound } from '../../../../control/kit/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, shows } from '../contracts.ts';
import { collection, query, type Routes, type With } from '../resource.ts';
import { endpointView, regionView, serviceView } from '../views.ts';

const contracts = {
  services: lists('List services', 'admin', a.many('services', a.service), 'type', 'name'),
  service: shows('Show a service', 'admin', a.one('service', a.service)),
  endpoints: lists('List endpoints', 'admin', a.many('endpoints', a.endpoint), 'interface', 'service_id', 'region_id'),
  endpoint: shows('Show an endpoint', 'admin', a.one('endpoint', a.endpoint)),
  regions: lists('List regions', 'caller', a.many('regions', a.region), 'parent_region_id'),
  region: shows('Show a region', 'caller', a.one('region', a.region)),
} as const;

export const catalogueRoutes: Routes = (app, deps) => {
  const { catalogue } = deps.identity;
  const reads = (request: FastifyRequest, operation: string) => requireReader(callerOf(request), operation);
  const found = <T extends { id: string }>(rows: readonly T[], noun: Noun, request: With): T => {
    const given = request.params.id;
    const row = rows.find((one) => one.id === parseId(given));
    if (!row) throw notFound(noun, given);
    return row;
  };

  app.read('/v3/services', contracts.services, (request) => {
    reads(request, 'identity:list_services');
    const { type, name } = query(request);
    const rows = catalogue.services.filter(
      (row) => (type === undefined || row.type === type) && (name === undefined || row.name === name),
    );
    return collection(deps, request, 'services', rows, serviceView(deps));
  });
  app.read('/v3/services/:id', contracts.service, (request) => {
    reads(request, 'identity:get_service');
    return { service: serviceView(deps)(found(catalogue.services, 'service', request)) };
  });

  app.read('/v3/endpoints', contracts.endpoints, (request) => {
    reads(request, 'identity:list_endpoints');
    const given = query(request);
    const rows = catalogue.endpoints.filter(
      (row) =>
        (given.interface === undefined || row.interface === given.interface) &&
        (given.service_id === undefined || row.serviceId === parseId(given.service_id)) &&
        (given.region_id === undefined || row.region === given.region_id),
    );
    return collection(deps, request, 'endpoints', rows, endpointView(deps));
  });
  app.read('/v3/endpoints/:id', contracts.endpoint, (request) => {
    reads(request, 'identity:get_endpoint');
    return { endpoint: endpointView(deps)(found(catalogue.endpoints, 'endpoint', request)) };
  });

  app.read('/v3/regions', contracts.regions, (request) => {
    const { parent_region_id: parent } = query(request);
    return collection(deps, request, 'regions', parent ? [] : [catalogue.region], regionView(deps));
  });
  app.read('/v3/regions/:id', contracts.region, (request) => {
    const given = request.params.id;
    if (given !== catalogue.region) throw notFound('region', given);
    return { region: regionView(deps)(given) };
  });
};
