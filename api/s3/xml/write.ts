/** The XML that S3 answers: elements in the order in which they are given, for some clients read them so. Pure. */

/** A name with its text, or with what is in it; undefined is left out. */
export type Node = readonly [name: string, content: Content, attributes?: Readonly<Record<string, string>>] | undefined;
export type Content = string | number | boolean | Date | undefined | readonly Node[];

const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

export function writeXml(name: string, content: string | readonly Node[], options: { bare?: boolean } = {}): string {
  const attributes = options.bare ? undefined : { xmlns: namespace };
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element([name, content, attributes])}`;
}

function element(node: Node): string {
  if (node === undefined || node[1] === undefined) return '';
  const [name, content, attributes = {}] = node;
  const said = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(value)}"`);
  return `<${name}${said.join('')}>${inner(content as Exclude<Content, undefined>)}</${name}>`;
}

function inner(content: Exclude<Content, undefined>): string {
  if (typeof content === 'string') return escapeXml(content);
  if (content instanceof Date) return isoTime(content);
  if (typeof content === 'object') return content.map(element).join('');
  return String(content);
}

/** As S3 writes times in documents: to the millisecond, of which it knows none. */
const isoTime = (time: Date): string => time.toISOString();

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Control characters go by number, as S3 writes them: XML 1.0 knows them not, and a client that meets them asks for `encoding-type`. */
const escapeXml = (text: string): string =>
  text.replace(
    /[&<>"\p{Cc}\ufffe\uffff]/gu,
    (one) => escapes[one] ?? `&#x${one.charCodeAt(0).toString(16).toUpperCase()};`,
  );
