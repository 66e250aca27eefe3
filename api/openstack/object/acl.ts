/** Access lists of containers as headers have them: read, brought into their one form, refused where they say nothing. */
import { Refusal } from '../../boundary/refusal.ts';

const referrerNames = ['.r', '.ref', '.referer', '.referrer'];

/**
 * `.ref: *.example.com , .rlistings, project:user` → `.r:.example.com,.rlistings,project:user`.
 * @throws Refusal for an item that no rule would ever be
 */
export function cleanAcl(header: 'X-Container-Read' | 'X-Container-Write', text: string): string {
  const items: string[] = [];
  for (const raw of text.split(',')) {
    const item = raw.trim();
    if (item === '') continue;
    const colon = item.indexOf(':');
    const first = colon < 0 ? item : item.slice(0, colon).trim();
    const second = colon < 0 ? '' : item.slice(colon + 1).trim();
    if (colon < 0 || !first.startsWith('.')) items.push(item);
    else items.push(referrer(header, { item, first, second }));
  }
  return items.join(',');
}

function referrer(header: string, { item, first, second }: { item: string; first: string; second: string }): string {
  const refuse = (why: string) => new Refusal('invalid', `${why} in ACL ${JSON.stringify(item)}`);
  if (!referrerNames.includes(first)) throw refuse(`Unknown designator ${JSON.stringify(first)}`);
  if (header === 'X-Container-Write') throw refuse('Referrers not allowed in write ACL');
  const negated = second.startsWith('-');
  let host = (negated ? second.slice(1) : second).trim();
  if (host !== '*' && host.startsWith('*')) host = host.slice(1).trim();
  if (host === '' || host === '.') throw refuse('No host/domain value after referrer designation');
  return `.r:${negated ? '-' : ''}${host}`;
}
