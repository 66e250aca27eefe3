/**
 * From XML to a value, by the schema of the operation: which elements there are, which of them repeat, which are numbers. What the
 * schema does not know is refused: nothing that a client asks for is overlooked. Pure.
 */
import type { TSchema } from 'typebox';
import { type Element, MalformedXml } from './read.ts';

interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
}

/** @throws MalformedXml */
export function documentOf(element: Element, schema: TSchema): unknown {
  return valueIn(element, schema as Schema);
}

function valueIn(element: Element, schema: Schema): unknown {
  if (schema.type === 'object') return objectOf(element, schema.properties ?? {});
  if (element.children.length > 0) throw new MalformedXml(`elements in ${element.name}`);
  const text = element.text;
  if (schema.type === 'integer') {
    if (!/^\s*-?\d{1,15}\s*$/.test(text)) throw new MalformedXml(`${element.name} is no number`);
    return Number(text);
  }
  if (schema.type === 'boolean') {
    const word = text.trim().toLowerCase();
    if (word !== 'true' && word !== 'false') throw new MalformedXml(`${element.name} is neither true nor false`);
    return word === 'true';
  }
  return text;
}

function objectOf(element: Element, properties: Record<string, Schema>): Record<string, unknown> {
  if (element.children.length === 0 && element.text.trim() !== '') throw new MalformedXml(`text in ${element.name}`);
  const value: Record<string, unknown> = {};
  for (const child of element.children) {
    const schema = Object.hasOwn(properties, child.name) ? properties[child.name]! : undefined;
    if (!schema) throw new MalformedXml(`${element.name} has no ${child.name}`);
    if (schema.type === 'array') {
      const list = (value[child.name] ?? []) as unknown[];
      list.push(valueIn(child, schema.items ?? {}));
      value[child.name] = list;
    } else if (Object.hasOwn(value, child.name)) {
      throw new MalformedXml(`${child.name} twice`);
    } else {
      value[child.name] = valueIn(child, schema);
    }
  }
  if (element.type !== undefined && Object.hasOwn(properties, 'type')) value.type = element.type;
  return value;
}
