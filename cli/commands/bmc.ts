import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Bmc, BmcService, BmcWish } from '../../control/compute/power/index.ts';
import { type Bmcs, confirmPowerOff, openBmcs, readPassword } from '../cloud/bmc.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { type Command, CommandError, dataOption, type ParsedArguments } from '../command.ts';
import { loadSettings } from '../settings.ts';
import { faint, say, step, table } from '../terminal.ts';

export const command: Command = {
  summary: 'the service processor (BMC) of a host: say it, test it, turn the host on or off',
  usage: 'VERB HOST [--url URL] [--user USER] [--password-file FILE] … [--data DIRECTORY]',
  description: `On the machine of control. VERB is
  set      say which BMC it has: --url, --user, --fingerprint or --ca, --system, --no-fences; what is not said stays
  show     what was said; never the password
  test     ask it, and change nothing: power, watts, whether it is this host
  accept   say that its machine is the host, where no UUID shows it
  remove   forget it
  on, off  turn the host on; turn it off in order, which must be closed and without servers, or with --force at once
The password is asked for, or comes from --password-file (- is the standard input) or BOTHY_BMC_PASSWORD.`,
  options: {
    url: { type: 'string', help: 'URL, https://NAME[:PORT] (Redfish) or ipmi://NAME[:PORT]' },
    user: { type: 'string', help: 'USER who may turn the machine off and on' },
    'password-file': { type: 'string', help: 'FILE that has the password' },
    fingerprint: { type: 'string', help: 'SHA-256 of its certificate' },
    ca: { type: 'string', help: 'FILE with the certificate of the authority that signed it' },
    system: { type: 'string', help: 'ID of several systems behind the address' },
    'no-fences': { type: 'boolean', help: 'the host is not turned off when it is lost' },
    force: { type: 'boolean', help: 'turn it off at once, with all that runs there' },
    yes: { type: 'boolean', help: 'do not ask' },
    ...dataOption,
  },
  positionals: { min: 2, max: 2 },
  async run(args) {
    const [verb = '', name = ''] = args.positionals;
    const work = verbs[verb];
    if (!work) throw new CommandError(`there is no verb ${verb}`, `one of ${Object.keys(verbs).join(', ')}`);
    requireRoot('steering a BMC');
    const bmcs = await openBmcs(loadSettings(args.text('data')));
    try {
      return await runBmcVerb(bmcs, { verb, name, args });
    } finally {
      await bmcs.close();
    }
  },
};

interface Work {
  service: BmcService;
  host: { id: string; name: string };
  args: Pick<ParsedArguments, 'flag' | 'text'>;
}

/** Of one that is open. @throws CommandError with what the cloud, or the BMC, says */
export async function runBmcVerb(
  bmcs: Omit<Bmcs, 'close'>,
  { verb, name, args }: { verb: string; name: string; args: Work['args'] },
): Promise<number> {
  const host = await bmcs.hostOf(name);
  try {
    await verbs[verb]!({ service: bmcs.service, host, args });
    return 0;
  } catch (error) {
    const { CloudError, sentenceOf } = await import('../../contract/errors.ts');
    const { nativeSentences } = await import('../../api/native/faults.ts');
    if (!(error instanceof CloudError)) throw error;
    const cure = error.reason === 'bmc_trust_missing' ? `bothy bmc set ${name} … --fingerprint, or --ca FILE` : '';
    throw new CommandError(sentenceOf(error, nativeSentences) ?? error.message, cure, { cause: error });
  }
}

const root = async () => (await import('../../control/kit/caller.ts')).operator;

const verbs: Record<string, (work: Work) => Promise<void>> = {
  async set({ service, host, args }) {
    const before = await service.get(await root(), host.id).catch(() => undefined);
    const [url, user] = [args.text('url') ?? before?.url, args.text('user') ?? before?.user_name];
    if (url === undefined || user === undefined)
      throw new CommandError(`nobody has said yet which BMC ${host.name} has`, 'say --url and --user');
    const password = await readPassword(args.text('password-file'));
    const system = args.text('system') ?? before?.system;
    const fences = args.flag('no-fences') ? false : before?.fences;
    const wish: BmcWish = { url, user, password, trust: trustOf(args), system, fences };
    say(shown(await service.set(await root(), host.id, wish)));
    say(faint(`now: sudo ./bothy bmc test ${host.name}`));
  },
  async show({ service, host }) {
    say(shown(await service.get(await root(), host.id)));
  },
  async test({ service, host }) {
    const { power, system, label, uuid, watts, same_machine: same } = await service.test(await root(), host.id);
    const whose =
      same === null ? 'not shown: one of both tells no UUID of its own' : same ? 'yes' : 'NO: another machine';
    say(
      table([
        ...[
          ['power', power],
          ['machine', `${label} (${system})`],
          ['UUID', uuid ?? 'none'],
        ],
        ...[
          ['watts', watts === null ? 'not said' : String(watts)],
          [`is ${host.name}`, whose],
        ],
      ]),
    );
  },
  async accept({ service, host }) {
    const { accepted } = await service.accept(await root(), host.id);
    say(
      `${accepted?.label} (${accepted?.system}) is ${host.name}, by your word: it will be turned off when that is lost.`,
    );
  },
  async remove({ service, host }) {
    await service.remove(await root(), host.id);
    say(`${host.name} has no BMC any more.`);
  },
  async on({ service, host }) {
    await turn(service, host, 'on');
  },
  async off({ service, host, args }) {
    if (!args.flag('yes')) await confirmPowerOff(host.name);
    await turn(service, host, args.flag('force') ? 'force_off' : 'off');
  },
};

const patienceMs = 180_000;
const everyMs = 1000;

async function turn(service: BmcService, host: Work['host'], action: 'on' | 'off' | 'force_off'): Promise<void> {
  const wanted = action === 'on' ? 'on' : 'off';
  await step(
    `turning ${host.name} ${wanted}`,
    async (progress) => {
      progress.detail(await service.power(await root(), host.id, action));
      for (const began = performance.now(); ; await wait(everyMs)) {
        const { power } = await service.test(await root(), host.id);
        if (power === wanted) return power;
        if (performance.now() - began > patienceMs)
          throw new CommandError(
            `${host.name} is still ${power}`,
            `look at the machine, or: bothy bmc test ${host.name}`,
          );
        progress.detail(power);
      }
    },
    (power) => `it is ${power}`,
  );
}

function trustOf(args: Work['args']): BmcWish['trust'] {
  const [fingerprint256, ca] = [args.text('fingerprint'), args.text('ca')];
  if (fingerprint256 !== undefined) return { fingerprint256 };
  return ca === undefined ? undefined : { ca: readFileSync(ca, 'utf8') };
}

const knownBy = ({ fingerprint256, ca }: Bmc): string =>
  fingerprint256 ??
  (ca === null ? 'the password that it knows, too (IPMI)' : 'the authority that signed its certificate');

const shown = (bmc: Bmc): string =>
  table([
    ...[
      ['address', bmc.url],
      ['user', bmc.user_name],
      ['system', bmc.system ?? 'the only one'],
    ],
    ['known by', knownBy(bmc)],
    ['turns the host off when it is lost', bmc.fences ? 'yes' : 'no'],
    ...(bmc.contradicted_at ? [['not believed since', bmc.contradicted_at.toISOString()]] : []),
    ...(bmc.accepted
      ? [['accepted', `by ${bmc.accepted.user_name} at ${bmc.accepted.at}: ${bmc.accepted.label}`]]
      : []),
  ]);
