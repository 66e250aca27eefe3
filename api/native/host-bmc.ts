/** /native/v1/hosts/{id}/bmc: the service processor (BMC) by which a host is turned off and on, by Redfish or IPMI. For administrators; its password is told to nobody. */
import { Type } from 'typebox';
import type { Bmc, BmcService } from '../../control/compute/power/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';

const exact = { additionalProperties: false } as const;
const text = Type.String();
const orNull = Type.Union([text, Type.Null()]);
const wattsOrNull = Type.Union([Type.Integer(), Type.Null()]);
const power = Type.Enum(['on', 'off', 'changing', 'unknown']);
const fingerprint = Type.String({
  pattern: '^([0-9A-Fa-f]{64}|([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2})$',
  description: 'SHA-256 of its certificate',
});
const pem = Type.String({
  minLength: 1,
  maxLength: 16_384,
  description: 'Certificate of the authority that signed its own, in PEM',
});
const system = Type.Union([Type.String({ minLength: 1, maxLength: 255 }), Type.Null()], {
  description: 'Of several systems behind the address which one: its @odata.id or its Id',
});
const fences = Type.Boolean({
  description: 'The host is turned off when it is lost, so that its servers may run elsewhere',
});

const wish = Type.Object(
  {
    url: Type.String({
      minLength: 1,
      maxLength: 512,
      description: 'https://NAME[:PORT] of Redfish, ipmi://NAME[:PORT] of IPMI 2.0',
    }),
    user: Type.String({ minLength: 1, maxLength: 128, pattern: '^[^:\\x00-\\x1f\\x7f]+$' }),
    password: Type.Optional(Type.String({ maxLength: 256, description: 'Absent: as before, at the same address' })),
    fingerprint256: Type.Optional(fingerprint),
    ca: Type.Optional(pem),
    system: Type.Optional(system),
    fences: Type.Optional(fences),
  },
  exact,
);
const said = Type.Object(
  {
    ...{ url: text, user: text, fingerprint256: orNull, ca: orNull, system: orNull, fences: Type.Boolean() },
    contradicted_at: Type.Union([Type.String(), Type.Null()], {
      description: 'It said that the host was off while that was not: it is believed again when it is set anew',
    }),
    accepted: Type.Union(
      [Type.Object({ user_id: orNull, user_name: text, at: text, system: text, label: text }, exact), Type.Null()],
      { description: 'Who has said that the machine behind it is the host, where one of both tells no UUID' },
    ),
    ...{ created_at: text, updated_at: text },
  },
  { ...exact, title: 'BMC' },
);
const tested = Type.Object(
  {
    ...{ power, system: text, label: text, uuid: orNull, watts: wattsOrNull },
    same_machine: Type.Union([Type.Boolean(), Type.Null()], {
      description: 'Its machine has the UUID that the host says; null: one of them says none',
    }),
  },
  exact,
);
const answer = Type.Object({ bmc: said }, exact);

const show = { summary: 'Show the BMC of a host', rights: 'admin', answers: { 200: answer } } as const;
const put = {
  summary: 'Say by which BMC a host is turned off and on',
  rights: 'admin',
  body: Type.Object({ bmc: wish }, exact),
  answers: { 200: answer },
} as const;
const remove = { summary: 'Forget the BMC of a host', rights: 'admin', answers: { 204: null } } as const;
const test = {
  summary: 'Ask the BMC of a host what it says, and change nothing',
  rights: 'admin',
  answers: { 200: Type.Object({ bmc_test: tested }, exact) },
} as const;

const accept = {
  summary: 'Say that the machine behind the BMC is the host, where no UUID shows it',
  rights: 'admin',
  answers: { 200: answer },
} as const;
const turn = {
  summary: 'Turn a host on or off by its BMC',
  rights: 'admin',
  body: Type.Object(
    {
      power: Type.Object(
        {
          action: Type.Enum(['on', 'off', 'force_off'], {
            description:
              'off: in order, of a closed host without servers; force_off: at once, with all that runs there',
          }),
        },
        exact,
      ),
    },
    exact,
  ),
  answers: {
    202: Type.Object(
      { said: Type.String({ description: 'By the BMC; whether it comes to that is to be tested' }) },
      exact,
    ),
  },
} as const;

type Bmcs = Pick<BmcService, 'get' | 'set' | 'remove' | 'test' | 'accept' | 'power'>;

export function hostBmcRoutes(app: Boundary, bmcs: Bmcs): void {
  app.get('/v1/hosts/:id/bmc', show, async (request) => ({
    bmc: document(await bmcs.get(callerOf(request), request.params.id)),
  }));
  app.put('/v1/hosts/:id/bmc', put, async (request) => {
    const { fingerprint256, ca, ...more } = request.body.bmc;
    const trust = fingerprint256 !== undefined ? { fingerprint256 } : ca !== undefined ? { ca } : undefined;
    return { bmc: document(await bmcs.set(callerOf(request), request.params.id, { ...more, trust })) };
  });
  app.delete('/v1/hosts/:id/bmc', remove, async (request, reply) => {
    await bmcs.remove(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
  app.post('/v1/hosts/:id/bmc/accept', accept, async (request) => ({
    bmc: document(await bmcs.accept(callerOf(request), request.params.id)),
  }));
  app.post('/v1/hosts/:id/bmc/power', turn, async (request, reply) => {
    const said = await bmcs.power(callerOf(request), request.params.id, request.body.power.action);
    return reply.code(202).send({ said });
  });
  app.post('/v1/hosts/:id/bmc/test', test, async (request) => ({
    bmc_test: { ...(await bmcs.test(callerOf(request), request.params.id)) },
  }));
}

const document = (bmc: Bmc) => ({
  ...{ url: bmc.url, user: bmc.user_name, fingerprint256: bmc.fingerprint256, ca: bmc.ca },
  ...{ system: bmc.system, fences: bmc.fences, contradicted_at: bmc.contradicted_at?.toISOString() ?? null },
  accepted: bmc.accepted,
  ...{ created_at: bmc.created_at.toISOString(), updated_at: bmc.updated_at.toISOString() },
});
