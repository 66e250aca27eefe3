/**
 * The cloud's internal certificate authority, made at first start: ECDSA P-256, one root, no intermediate. Owns
 * `<data>/certificates`: the root's key never leaves it and is readable by root alone. A certificate is renewed when a
 * third of its life is left, when a name is missing in it, or when the root has changed; that is looked at with each start, and
 * by the supervisor while the cloud runs (cli/supervisor/renewal.ts).
 * Every file is written aside and renamed, the key before its certificate: a crash leaves the old pair or a pair that
 * the next start sees does not match and makes anew.
 */
import './reflect.ts';
import { createPrivateKey, X509Certificate as NodeCertificate, randomBytes, type webcrypto } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { writeWhole } from '../kit/files.ts';
import { isDue } from './renewal.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const day = 86_400_000;
const rootDays = 3650;
const leafDays = 365;
/** Clocks of other machines may be a little behind. */
const backdateMs = day;

export interface LeafRequest {
  /** Base name of the two files, `<name>.pem` and `<name>.key`. */
  name: string;
  /** Subject CN: for a host its id, which control takes from here. */
  commonName: string;
  /** DNS names and addresses. */
  names: readonly string[];
  usages: readonly ('server' | 'client')[];
  /** Owner of the key file, where it is not the caller. */
  owner?: { uid: number; gid: number };
}

export interface LeafFiles {
  certificate: string;
  key: string;
  renewed: boolean;
}

export class Authority {
  readonly caFile: string;
  readonly #directory: string;
  readonly #root: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;
  readonly #leafLifeMs: number;

  private constructor(
    directory: string,
    { root, key, leafLifeMs }: { root: x509.X509Certificate; key: webcrypto.CryptoKey; leafLifeMs: number },
  ) {
    this.#leafLifeMs = leafLifeMs;
    this.#directory = directory;
    this.#root = root;
    this.#key = key;
    this.caFile = join(directory, 'ca.pem');
  }

  /** Opens the authority of a directory, making it where there is none. */
  static async open(directory: string, cloudId: string, options: { leafLifeMs?: number } = {}): Promise<Authority> {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const files = { certificate: join(directory, 'ca.pem'), key: join(directory, 'ca.key') };
    if (!existsSync(files.certificate)) await makeRoot(files, cloudId);
    const root = new x509.X509Certificate(readFileSync(files.certificate, 'utf8'));
    const der = createPrivateKey(readFileSync(files.key, 'utf8')).export({ format: 'der', type: 'pkcs8' });
    const key = await crypto.subtle.importKey('pkcs8', new Uint8Array(der), algorithm, false, ['sign']);
    return new Authority(directory, { root, key, leafLifeMs: options.leafLifeMs ?? leafDays * day });
  }

  /** The root certificate, in PEM. */
  get ca(): string {
    return `${this.#root.toString('pem')}\n`;
  }

  /** In PEM, of the key that a PKCS #10 request has and for the subject and names that are given here. @throws Error where it is no request of that key */
  async sign(
    csr: string,
    leaf: Pick<LeafRequest, 'commonName' | 'names' | 'usages'> & { lifeMs: number },
  ): Promise<string> {
    const request = new x509.Pkcs10CertificateRequest(csr);
    if (!(await request.verify())) throw new Error('the request is not signed by its key');
    return this.#issue({ ...leaf, publicKey: await request.publicKey.export() });
  }

  /** A certificate that is good for the request, kept or made anew. */
  async ensure(request: LeafRequest): Promise<LeafFiles> {
    const certificate = join(this.#directory, `${request.name}.pem`);
    const key = join(this.#directory, `${request.name}.key`);
    if (this.#stillGood(certificate, key, request)) return { certificate, key, renewed: false };
    const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const leaf = await this.#issue({ ...request, publicKey: pair.publicKey, lifeMs: this.#leafLifeMs });
    await writeKey(key, pair.privateKey, request.owner);
    writeWhole(certificate, leaf, { mode: 0o644 });
    return { certificate, key, renewed: true };
  }

  async #issue(
    leaf: Pick<LeafRequest, 'commonName' | 'names' | 'usages'> & { publicKey: webcrypto.CryptoKey; lifeMs: number },
  ): Promise<string> {
    const made = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: new x509.Name([{ CN: [leaf.commonName] }]).toString(),
      issuer: this.#root.subject,
      notBefore: new Date(Date.now() - Math.min(backdateMs, leaf.lifeMs)),
      notAfter: new Date(Date.now() + leaf.lifeMs),
      publicKey: leaf.publicKey,
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(leaf.usages.map((use) => x509.ExtendedKeyUsage[`${use}Auth`])),
        new x509.SubjectAlternativeNameExtension(
          leaf.names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(this.#root),
        await x509.SubjectKeyIdentifierExtension.create(leaf.publicKey),
      ],
    });
    return `${made.toString('pem')}\n`;
  }

  #stillGood(certificateFile: string, keyFile: string, request: LeafRequest): boolean {
    if (!existsSync(certificateFile) || !existsSync(keyFile)) return false;
    try {
      const certificate = new NodeCertificate(readFileSync(certificateFile));
      return (
        !isDue(certificate.toString()) &&
        certificate.verify(new NodeCertificate(this.#root.toString('pem')).publicKey) &&
        certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile))) &&
        certificate.subject === `CN=${request.commonName}` &&
        request.names.every(
          (name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined,
        )
      );
    } catch {
      return false;
    }
  }
}

async function makeRoot(files: { certificate: string; key: string }, cloudId: string): Promise<void> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=Bothy cloud ${cloudId}`,
    notBefore: new Date(Date.now() - backdateMs),
    notAfter: new Date(Date.now() + rootDays * day),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  // The certificate's presence says that the authority is complete, so the key goes first.
  await writeKey(files.key, keys.privateKey);
  writeWhole(files.certificate, `${root.toString('pem')}\n`, { mode: 0o644 });
}

async function writeKey(file: string, key: webcrypto.CryptoKey, owner?: { uid: number; gid: number }): Promise<void> {
  const pem = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
  writeWhole(file, `${pem}\n`, owner === undefined ? { mode: 0o600 } : { mode: 0o600, owner });
}

/** Positive and random, as RFC 5280 wants it. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}
