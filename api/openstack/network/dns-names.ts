/** Names and domains as Neutron's extension `dns-integration` takes them (neutron-lib, api/validators/dns.py): in small letters from here on. */
import { reader, text, Unreadable } from './attributes.ts';

const longest = 255;
const anyText = text(longest);

/** @throws Unreadable where a label is none, or the last of several is a number (RFC 1123, 2.1) */
function checkLabels(name: string): void {
  const refuse = (reason: string): never => {
    throw new Unreadable(`'${name}' not a valid PQDN or FQDN. Reason: ${reason}`);
  };
  const labels = name.replace(/\.$/, '').split('.');
  for (const label of labels) {
    if (label === '') refuse('Encountered an empty component');
    if (label.startsWith('-') || label.endsWith('-')) refuse(`Name '${label}' must not start or end with a hyphen`);
    if (!/^[a-z0-9-]{1,63}$/.test(label))
      refuse(`Name '${label}' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen`);
  }
  if (labels.length > 1 && /^[0-9]+$/.test(labels.at(-1)!)) refuse(`TLD '${labels.at(-1)}' must not be all numeric`);
}

/** Of a port or floating IP; whole with a dot at the end. */
export const dnsName = reader(anyText.schema, (value) => {
  const name = (anyText(value) as string).toLowerCase();
  if (name !== '') checkLabels(name);
  return name;
});

/** Whole, with its dot at the end. */
export const dnsDomain = reader(anyText.schema, (value) => {
  const domain = (anyText(value) as string).toLowerCase();
  if (domain === '') return domain;
  if (!domain.endsWith('.')) throw new Unreadable(`'${domain}' is not a FQDN`);
  checkLabels(domain);
  if (domain.length > longest - 2)
    throw new Unreadable(
      `'${domain}' contains ${domain.length} characters. Adding a sub-domain will cause it to exceed the maximum length of a FQDN of '${longest}'`,
    );
  return domain;
});
