import { text } from 'node:stream/consumers';
import { certificateRequest } from '../../contract/host/index.ts';
import { Mismatch, read } from '../../contract/schema/read.ts';
import { Authority } from '../../control/pki/authority.ts';
import { readIdentity } from '../cloud/identity.ts';
import { cloudLayout } from '../cloud/layout.ts';
import { requireRoot } from '../cloud/preflight.ts';
import { type Command, CommandError, dataOption } from '../command.ts';
import { loadSettings } from '../settings.ts';

const day = 86_400_000;
/** Shorter than those of the cloud's own machine: of a host that was removed it is good until its end. */
const lifeMs = 90 * day;

export const command: Command = {
  summary: "sign a host's certificate (internal)",
  usage: '[--data DIRECTORY]',
  description: `Reads a request on standard input and answers with the certificate, both in JSON. Asked by the host process beside the cloud's
authority, for control. Exit code 2: what it read is no request.`,
  options: { ...dataOption },
  positionals: { min: 0, max: 0 },
  async run(args) {
    requireRoot('signing certificates');
    const { paths } = loadSettings(args.text('data'));
    const identity = readIdentity(paths);
    if (!identity) throw new CommandError(`${paths.data} is no data directory of Bothy`, 'name one with --data');
    const authority = await Authority.open(cloudLayout(paths).certificates, identity.cloudId);
    try {
      const { hostId, addresses, csr } = read(certificateRequest, JSON.parse(await text(process.stdin)));
      const usages = ['server', 'client'] as const;
      const certificate = await authority.sign(csr, {
        commonName: hostId,
        names: [hostId, ...addresses],
        usages,
        lifeMs,
      });
      process.stdout.write(JSON.stringify({ certificate, ca: authority.ca }));
      return 0;
    } catch (error) {
      if (!(error instanceof Mismatch) && !(error instanceof SyntaxError))
        process.stderr.write(`${(error as Error).message}\n`);
      return 2;
    }
  },
};
