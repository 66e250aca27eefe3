/** What Placement's answers are made of. Members that only some microversions have may be absent. */
import { Type } from 'typebox';
import * as a from '../common/answers.ts';

export { integer, list, record, text } from '../common/answers.ts';

const some = Type.Optional;
const amounts = Type.Record(Type.String(), Type.Integer(), { description: 'By resource class' });

export const placementFault = Type.Object(
  {
    errors: Type.Array(
      a.record({
        ...{ status: a.integer, title: a.text, detail: a.text, request_id: a.text },
        ...{ code: Type.Optional(a.text), max_version: Type.Optional(a.text), min_version: Type.Optional(a.text) },
      }),
    ),
  },
  { title: 'Fault' },
);

export const provider = a.record({
  ...{ uuid: a.id, name: a.text, generation: a.integer, links: a.links },
  parent_provider_uuid: some(Type.Null()),
  root_provider_uuid: some(a.id),
});

export const inventory = {
  ...{ total: a.integer, reserved: a.integer, min_unit: a.integer, max_unit: a.integer, step_size: a.integer },
  allocation_ratio: Type.Number(),
};
export const inventories = a.record({
  resource_provider_generation: a.integer,
  inventories: Type.Record(Type.String(), a.record(inventory)),
});
export const usages = a.record({ resource_provider_generation: a.integer, usages: amounts });
export const aggregates = a.record({ aggregates: Type.Array(a.id), resource_provider_generation: some(a.integer) });
export const providerTraits = a.record({ traits: a.texts, resource_provider_generation: a.integer });
export const traits = a.record({ traits: a.texts });
const resourceClass = { name: a.text, links: a.links };
export const oneClass = a.record(resourceClass);
export const classes = a.record({ resource_classes: a.list(resourceClass) });
const generation = some(a.integer);
export const allocationsOfProvider = a.record({
  allocations: Type.Record(Type.String(), a.record({ resources: amounts, consumer_generation: generation })),
  resource_provider_generation: a.integer,
});
export const allocationsOfConsumer = a.record({
  allocations: Type.Record(Type.String(), a.record({ resources: amounts, generation: a.integer })),
  ...{ project_id: some(a.text), user_id: some(a.text), consumer_generation: generation, consumer_type: some(a.text) },
});
export const projectUsages = a.record({
  usages: Type.Record(Type.String(), Type.Union([a.integer, amounts]), {
    description: 'By resource class; from 1.38 on by type of consumer',
  }),
});
const asked = a.record({ resources: amounts });
export const candidates = a.record({
  allocation_requests: a.list({
    allocations: Type.Union([
      Type.Record(Type.String(), asked),
      a.list({ resource_provider: a.record({ uuid: a.id }), resources: amounts }),
    ]),
    mappings: some(Type.Record(Type.String(), Type.Array(a.id))),
  }),
  provider_summaries: Type.Record(
    Type.String(),
    a.record({
      resources: Type.Record(Type.String(), a.record({ capacity: a.integer, used: a.integer })),
      ...{ traits: some(a.texts), parent_provider_uuid: some(Type.Null()), root_provider_uuid: some(a.id) },
    }),
  ),
});
