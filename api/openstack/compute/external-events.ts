/** /os-server-external-events: what Nova is told by services beside it. Here there are none: ports and volumes are control's own. */
import { Type } from 'typebox';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import * as v from './validate.ts';

const since: readonly [number, string][] = [
  [51, 'volume-extended'],
  [76, 'power-update'],
  [82, 'accelerator-request-bound'],
  [93, 'volume-reimaged'],
];
const events = (version: number) => {
  const names = ['network-changed', 'network-vif-plugged', 'network-vif-unplugged', 'network-vif-deleted'];
  return v.strict({
    events: Type.Array(
      v.strict({
        name: Type.Enum([...names, ...since.flatMap(([from, name]) => (version >= from ? name : []))]),
        server_uuid: v.uuid,
        status: Type.Optional(Type.Enum(['failed', 'completed', 'in-progress'])),
        tag: Type.Optional(v.text(0, 255)),
      }),
      { minItems: 1 },
    ),
  });
};
const contract = {
  summary: 'Tell of events of servers: refused, nobody has any to tell',
  rights: 'service',
  body: v.since([1, 51, 76, 82, 93], events),
  answers: {},
} as const;

export function externalEventRoutes(app: Boundary): void {
  app.post('/os-server-external-events', contract, async () => {
    throw new Refusal(
      'invalid',
      'Events of servers are taken from nobody: networks and volumes are of this cloud itself, which knows of them before it could be told.',
    );
  });
}
