/**
 * The XML that S3's clients send: elements, text, the five entities and characters by number. No document type, so no entities of the
 * sender's own; bounded in depth and number; no recursion. A library would do much more than that, and each that is in wide use had
 * holes in just that more. Pure.
 */
export interface Element {
  /** Without its prefix. */
  name: string;
  /** Of attributes only `xsi:type` means anything. */
  type?: string;
  children: Element[];
  /** What stands between its tags; of one with children nothing. */
  text: string;
}

const maxDepth = 12;
/** A list of 10,000 parts has seven in each. */
const maxElements = 100_000;

export class MalformedXml extends Error {}

const name = /[\p{L}_][\p{L}\p{N}_.-]*(?::[\p{L}_][\p{L}\p{N}_.-]*)?/uy;
const space = /[ \t\r\n]*/y;

/** @throws MalformedXml */
export function readXml(source: string): Element {
  const reader = new Reader(source.charCodeAt(0) === 0xfeff ? source.slice(1) : source);
  return reader.document();
}

class Reader {
  readonly #source: string;
  #at = 0;
  #elements = 0;

  constructor(source: string) {
    this.#source = source;
  }

  document(): Element {
    const outside: Element = { name: '', children: [], text: '' };
    const open: Element[] = [outside];
    while (this.#at < this.#source.length) {
      const top = open.at(-1)!;
      if (this.#source[this.#at] !== '<') this.#text(top, open.length > 1);
      else if (this.#eats('<!--')) this.#until('-->');
      else if (open.length === 1 && this.#eats('<?xml')) this.#until('?>');
      else if (open.length > 1 && this.#eats('<![CDATA[')) top.text += this.#until(']]>');
      else if (this.#eats('</')) this.#close(open);
      else if (this.#eats('<')) this.#open(open);
    }
    if (open.length !== 1 || outside.children.length !== 1) throw new MalformedXml('not one whole element');
    return outside.children[0]!;
  }

  #text(top: Element, inside: boolean): void {
    const end = this.#source.indexOf('<', this.#at);
    const raw = this.#source.slice(this.#at, end < 0 ? undefined : end);
    this.#at += raw.length;
    if (inside) top.text += withoutEntities(raw);
    else if (/[^ \t\r\n]/.test(raw)) throw new MalformedXml('text outside of an element');
  }

  #open(open: Element[]): void {
    this.#elements++;
    if (open.length > maxDepth) throw new MalformedXml('nested too deeply');
    if (this.#elements > maxElements) throw new MalformedXml('too many elements');
    const element: Element = { name: local(this.#take(name, 'a name')), children: [], text: '' };
    const seen = new Set<string>();
    for (;;) {
      const gap = this.#take(space, '');
      if (this.#eats('/>')) {
        open.at(-1)!.children.push(element);
        return;
      }
      if (this.#eats('>')) break;
      if (gap === '') throw new MalformedXml('a tag without an end');
      const attribute = this.#take(name, 'an attribute');
      if (seen.has(attribute) || seen.size > 20) throw new MalformedXml('an attribute twice');
      seen.add(attribute);
      const value = this.#value();
      if (attribute === 'xsi:type') element.type = value;
    }
    open.at(-1)!.children.push(element);
    open.push(element);
  }

  #value(): string {
    this.#take(space, '');
    if (!this.#eats('=')) throw new MalformedXml('an attribute without a value');
    this.#take(space, '');
    const quote = this.#source[this.#at];
    if (quote !== '"' && quote !== "'") throw new MalformedXml('a value without quotes');
    this.#at++;
    const value = this.#until(quote);
    if (value.includes('<')) throw new MalformedXml('a value with a tag in it');
    return withoutEntities(value);
  }

  #close(open: Element[]): void {
    const element = open.pop()!;
    const said = local(this.#take(name, 'a name'));
    this.#take(space, '');
    if (open.length === 0 || said !== element.name || !this.#eats('>')) throw new MalformedXml('a wrong end tag');
    if (element.children.length === 0) return;
    if (/[^ \t\r\n]/.test(element.text)) throw new MalformedXml('text between elements');
    element.text = '';
  }

  #eats(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #until(end: string): string {
    const found = this.#source.indexOf(end, this.#at);
    if (found < 0) throw new MalformedXml(`no ${end}`);
    const taken = this.#source.slice(this.#at, found);
    this.#at = found + end.length;
    return taken;
  }

  #take(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0] ?? '';
    if (found === '' && what !== '') throw new MalformedXml(`${what} is missing`);
    this.#at += found.length;
    return found;
  }
}

const local = (whole: string): string => whole.slice(whole.indexOf(':') + 1);

const entities: ReadonlyMap<string, string> = new Map(
  Object.entries({ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }),
);

function withoutEntities(raw: string): string {
  if (!raw.includes('&')) return raw;
  return raw.replace(/&([^;&]{0,12};?)/g, (_, body: string) => {
    if (!body.endsWith(';')) throw new MalformedXml('a bare &');
    const inner = body.slice(0, -1);
    const known = entities.get(inner);
    if (known !== undefined) return known;
    const [, hex, decimal] = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(inner) ?? [];
    const point = hex !== undefined ? Number.parseInt(hex, 16) : decimal !== undefined ? Number(decimal) : Number.NaN;
    // Not what no text has: the null character, halves of pairs, beyond the last.
    if (!(point > 0 && point <= 0x10ffff) || (point >= 0xd800 && point < 0xe000)) {
      throw new MalformedXml(`the entity ${inner}`);
    }
    return String.fromCodePoint(point);
  });
}
