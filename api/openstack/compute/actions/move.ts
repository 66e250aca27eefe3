/** Migration, cold and live, and evacuation; what becomes of them is in control/compute/server/actions/move.ts. */
import { type Static, Type } from 'typebox';
import { serverLimits } from '../../../../contract/host/limits.ts';
import { Secret } from '../../../../contract/secret.ts';
import { newAdminPassword, serverActions } from '../../../../control/compute/server/index.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import * as a from '../answers.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

// Hosts have names of any script here.
const hostName = v.text(1, 255);
const host = Type.Union([hostName, Type.Null()]);

export const migrate = action({
  summary: 'Move a server to another host',
  rights: 'manager',
  body: v.since([1, 56], (version) =>
    version >= 56 ? Type.Union([Type.Null(), v.strict({ host: Type.Optional(host) })]) : Type.Unknown(),
  ),
  answers: accepted,
  run: ({ servers, caller, id, request }, argument) =>
    servers.act(caller, id, serverActions.migrate, {
      host: request.microversion >= 56 ? ((argument as { host?: string | null } | null)?.host ?? null) : null,
    }),
});

const live = (version: number) =>
  v.strict({
    host,
    block_migration: version >= 25 ? Type.Union([v.boolean, Type.Literal('auto')]) : v.boolean,
    ...(version < 25 && { disk_over_commit: v.boolean }),
    force: v.when(version >= 30 && version < 68, v.boolean),
  });

export const liveMigrate = action({
  summary: 'Move a running server to another host',
  rights: 'manager',
  body: v.since([1, 25, 30, 68], live),
  answers: accepted,
  run: ({ servers, caller, id }, argument) =>
    servers.act(caller, id, serverActions.liveMigrate, {
      host: argument.host,
      copyDisks: argument.block_migration === 'auto' || v.toBoolean(argument.block_migration),
    }),
});

const evacuation = (version: number) =>
  v.strict({
    host: Type.Optional(hostName),
    adminPass: Type.Optional(v.text(0, serverLimits.adminPasswordLength)),
    ...(version < 14 && { onSharedStorage: v.boolean }),
    force: v.when(version >= 29 && version < 68, v.boolean),
  });
type Evacuation = Static<ReturnType<typeof evacuation>>;

export const evacuate = action({
  summary: 'Bring a server of a host that is dead back on another',
  rights: 'admin',
  body: v.since([1, 14, 29, 68], evacuation),
  answers: {
    200: v.since([1, 14], (version) =>
      version < 14 ? a.record({ adminPass: Type.Union([a.text, Type.Null()]) }) : Type.Null(),
    ),
  },
  async run({ servers, caller, id, request, reply }, argument) {
    const { microversion: version } = request;
    const password = passwordOf(argument, version);
    await servers.act(caller, id, serverActions.evacuate, {
      ...{ host: argument.host ?? null, password, stopped: version >= 95 },
    });
    // Not 202, as of all others of its kind: some clients take nothing else.
    reply.code(200);
    return version < 14 ? { adminPass: password?.reveal() ?? null } : undefined;
  },
});

/** Until 2.13 one is made and told, where the disk is another; a disk that both hosts have keeps what it has. */
function passwordOf({ adminPass, onSharedStorage }: Evacuation, version: number): Secret | undefined {
  const given = adminPass === undefined ? undefined : new Secret(adminPass);
  if (version >= 14) return given;
  if (!v.toBoolean(onSharedStorage as string | boolean)) return given ?? newAdminPassword();
  if (given) throw new Refusal('invalid', "admin password can't be changed on existing disk");
  return undefined;
}
