/**
 * Nova's basic types of bodies (nova/api/validation/parameter_types.py), beside those that Cinder has, too.
 *
 * Names may be of any script and any character but control characters; Nova's own list ends at U+FFFF and so refuses
 * 🏔. Lengths count code points.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { Type } from 'typebox';
import { serverLimits } from '../../../contract/host/limits.ts';
import { formats } from '../../../contract/schema/read.ts';
import { metadataKey, printable, text } from '../common/validate.ts';

export {
  boolean,
  integer,
  looseBoolean,
  metadataKey,
  sentences,
  since,
  strict,
  text,
  toBoolean,
  uuid,
  when,
} from '../common/validate.ts';

/** Printable characters; can't start or end with white space. */
export const name = Type.Refine(
  text(1, serverLimits.nameLength),
  (v) => printable(v) && v === v.trim(),
  () => 'is not a name: printable characters, can not start or end with whitespace',
);
export const description = Type.Union([
  Type.Refine(
    text(0, 255),
    (v) => printable(v),
    () => 'has characters that are not printable',
  ),
  Type.Null(),
]);

export const ipv4 = Type.Refine(
  Type.String(),
  (v) => isIPv4(v),
  (v) => `'${v}' is not a 'ipv4'`,
);
export const ipv6 = Type.Refine(
  Type.String(),
  (v) => isIPv6(v),
  (v) => `'${v}' is not a 'ipv6'`,
);
export const ip = Type.Refine(
  Type.String(),
  (v) => isIPv4(v) || isIPv6(v),
  (v) => `'${v}' is no IP address`,
);
export const hostname = Type.String({
  pattern: '^[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]$',
  minLength: 2,
  maxLength: 63,
});
export const fqdn = Type.String({ pattern: '^[a-zA-Z0-9-._]*$', minLength: 1, maxLength: serverLimits.hostnameLength });
export const diskConfig = Type.Union([Type.Literal('AUTO'), Type.Literal('MANUAL')]);
export const tag = Type.Refine(
  text(1, 60),
  (v) => !/[,/]/.test(v) && printable(v),
  (v) => `'${v}' does not match '^[^,/]*$'`,
);
export const metadata = Type.Refine(
  Type.Record(Type.String(), text(0, serverLimits.metadataValueLength)),
  (v) => Object.keys(v).every(metadataKey),
  () => `a key is empty, longer than ${serverLimits.metadataKeyLength} characters or not printable`,
);
const base64Of = (maximum: number) =>
  Type.Refine(
    Type.String(),
    (v) => v.length <= maximum && formats.base64(v) && v.replace(/\s+/g, '').length % 4 === 0,
    (v) => (v.length > maximum ? `the text is longer than ${maximum} characters` : 'the text is no base64'),
  );
export const base64 = base64Of(serverLimits.userDataLength);

/** Nova's personality. What may be where in a guest is its own affair, but no name of a file has a zero in it. */
export const injectedFile = Type.Object(
  {
    path: Type.Refine(
      text(1, serverLimits.filePathLength),
      (v) => printable(v),
      () => 'has characters that are not printable',
    ),
    contents: base64Of(serverLimits.fileContentsLength),
  },
  { additionalProperties: false },
);
