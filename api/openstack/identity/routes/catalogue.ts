/** Services, endpoints and regions: read from what the cloud was started with. They are not rows, so nothing here writes. */
import type { FastifyRequest } from 'fastify';
import { parseId } from '../../../../contract/ids.ts';
import { requireReader } from '../../../../control/identity/rights.ts';
import { type Noun, notFound } from '../../../../control/kit/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import { collection, params, query, type Routes } from '../resource.ts';
import { endpointView, regionView, serviceView } from '../views.ts';

export const catalogueRoutes: Routes = (app, deps) => {
  const { catalogue } = deps.identity;
  const method = ['GET', 'HEAD'];
  const reads = (request: FastifyRequest, operation: string) => requireReader(callerOf(request), operation);
  const found = <T extends { id: string }>(rows: readonly T[], noun: Noun, request: FastifyRequest): T => {
    const given = params(request).id!;
    const row = rows.find((one) => one.id === parseId(given));
    if (!row) throw notFound(noun, given);
    return row;
  };

  app.route({
    method,
    url: '/v3/services',
    handler: (request) => {
      reads(request, 'identity:list_services');
      const { type, name } = query(request);
      const rows = catalogue.services.filter(
        (row) => (type === undefined || row.type === type) && (name === undefined || row.name === name),
      );
      return collection(deps, request, 'services', rows, serviceView(deps));
    },
  });
  app.route({
    method,
    url: '/v3/services/:id',
    handler: (request) => {
      reads(request, 'identity:get_service');
      return { service: serviceView(deps)(found(catalogue.services, 'service', request)) };
    },
  });

  app.route({
    method,
    url: '/v3/endpoints',
    handler: (request) => {
      reads(request, 'identity:list_endpoints');
      const given = query(request);
      const rows = catalogue.endpoints.filter(
        (row) =>
          (given.interface === undefined || row.interface === given.interface) &&
          (given.service_id === undefined || row.serviceId === parseId(given.service_id)) &&
          (given.region_id === undefined || row.region === given.region_id),
      );
      return collection(deps, request, 'endpoints', rows, endpointView(deps));
    },
  });
  app.route({
    method,
    url: '/v3/endpoints/:id',
    handler: (request) => {
      reads(request, 'identity:get_endpoint');
      return { endpoint: endpointView(deps)(found(catalogue.endpoints, 'endpoint', request)) };
    },
  });

  app.route({
    method,
    url: '/v3/regions',
    handler: (request) => {
      const { parent_region_id: parent } = query(request);
      return collection(deps, request, 'regions', parent ? [] : [catalogue.region], regionView(deps));
    },
  });
  app.route({
    method,
    url: '/v3/regions/:id',
    handler: (request) => {
      const given = params(request).id!;
      if (given !== catalogue.region) throw notFound('region', given);
      return { region: regionView(deps)(given) };
    },
  });
};
