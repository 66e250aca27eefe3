/** Bodies of JSON. Some clients name the type and send nothing (Tempest, keystoneclient): that is no body. */
import type { FastifyInstance } from 'fastify';
import { Refusal } from './refusal.ts';

/** @param options.also further media types that are JSON (patches) */
export function readJson(app: FastifyInstance, options: { also?: readonly string[] } = {}): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    ['application/json', ...(options.also ?? [])],
    { parseAs: 'string' },
    (request, text, done) => {
      if (text.length === 0) return done(null, undefined);
      return parse(request, text as string, (error, body) => {
        if (error) done(new Refusal('invalid', `Malformed request body: ${error.message.slice(0, 200)}`), undefined);
        else done(null, body);
      });
    },
  );
}
