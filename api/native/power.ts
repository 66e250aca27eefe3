/** GET /native/v1/power: what each host takes, in watts, and who says so. For administrators. */
import { Type } from 'typebox';
import type { WattsService } from '../../control/compute/power/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const host = Type.Object(
  {
    ...{ host_id: text, host: text },
    watts: Type.Union([Type.Integer(), Type.Null()], { description: 'Null: nobody can say' }),
    source: Type.Union([
      Type.Enum(['bmc', 'rapl', 'model', 'off'], {
        description:
          'bmc: measured by its BMC, the whole machine; rapl: by the counters of its processors, which see less; model: reckoned by the settings host_watts_idle and host_watts_max; off: it has no power',
      }),
      Type.Null(),
    ]),
    measured_at: Type.Union([text, Type.Null()]),
  },
  exact,
);
const show = {
  summary: 'What hosts take, in watts',
  rights: 'admin',
  answers: {
    200: Type.Object(
      {
        power: Type.Object(
          {
            watts: Type.Integer({ description: 'Of all of which somebody can say it' }),
            unknown: Type.Integer({ description: 'Hosts of which nobody can' }),
            hosts: Type.Array(host),
          },
          { ...exact, title: 'Power' },
        ),
      },
      exact,
    ),
  },
} as const;

export function powerRoutes(app: Boundary, service: WattsService): void {
  app.get('/v1/power', show, async (request) => {
    const hosts = await service.list(callerOf(request));
    return {
      power: {
        watts: hosts.reduce((sum, { watts }) => sum + (watts ?? 0), 0),
        unknown: hosts.filter(({ watts }) => watts === null).length,
        hosts: hosts.map(({ host_name, measured_at, ...one }) => ({
          ...{ ...one, host: host_name, measured_at: measured_at?.toISOString() ?? null },
        })),
      },
    };
  });
}
