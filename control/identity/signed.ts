/** What was signed with an access key, and whether it was. */
import { isSigned, isSignedText, type SignedRequest, signedAt } from '../../protocols/aws/signature.ts';
import { unauthenticated } from './login.ts';

/** A request as its gateway got it, or the text that its client signed. */
export type Signed = SignedRequest | { text: Buffer; signature: string };

/** Keystone's [credential] auth_ttl; as far ahead, too, since clocks differ. */
const lastsMs = 15 * 60_000;

/** @throws CloudError `unauthenticated` */
export function checkSignature(signed: Signed, secret: string): void {
  // An access key is no secret: whoever had read it would be its user.
  if (secret === '') throw unauthenticated('an access key without a secret');
  if ('text' in signed) {
    if (!isSignedText(signed.text, signed.signature, secret)) throw unauthenticated('wrong signature');
    return;
  }
  if (!isSigned(signed, secret)) throw unauthenticated('wrong signature');
  const at = signedAt(signed);
  // What bears no time was signed to be good for ever.
  if (at !== undefined && !(Math.abs(Date.now() - at) <= lastsMs)) throw unauthenticated('signed at another time');
}
