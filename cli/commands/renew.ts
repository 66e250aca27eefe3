import { ensureCertificates, publicUrlOf } from '../cloud/certificates.ts';
import { renewJoined } from '../cloud/host-certificate.ts';
import { type CloudIdentity, readIdentity } from '../cloud/identity.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { loadSettings, type Settings } from '../settings.ts';
import { say } from '../terminal.ts';

/** Answers the files that are new. */
async function renewOwn(settings: Settings, identity: CloudIdentity): Promise<string[]> {
  const { api, host } = await ensureCertificates(settings, identity, await publicUrlOf(settings));
  return [api, host].flatMap((files) => (files?.renewed ? [files.certificate] : []));
}

export const command: Command = {
  summary: "renew the certificates of the cloud's own processes (internal)",
  usage: '[--data DIRECTORY]',
  description: `Makes those certificates anew of whose life a third is left, or less. The supervisor does it while the cloud runs; the
processes take the new files without a restart.`,
  options: { ...dataOption },
  positionals: { min: 0, max: 0 },
  async run(args) {
    requireRoot('renewing certificates');
    const settings = loadSettings(args.text('data'));
    const identity = readIdentity(settings.paths);
    if (identity === undefined) {
      throw new CommandError(`${settings.paths.data} is no data directory of Bothy`, 'name one with --data');
    }
    const renewed = identity.joined ? await renewJoined(settings, identity.joined) : await renewOwn(settings, identity);
    say(renewed.length === 0 ? 'every certificate is good' : `renewed: ${renewed.join(', ')}`);
    return 0;
  },
};
