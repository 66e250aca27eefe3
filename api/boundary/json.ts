/** Bodies of JSON. Some clients name the type and send nothing (Tempest, keystoneclient): that is no body. */
import type { FastifyInstance } from 'fastify';
import { Refusal } from './refusal.ts';

/**
 * @param options.also further media types that are JSON (patches)
 * @param options.whatever a body is JSON whatever its type says, or where it says none (Neutron's own reading)
 */
export function readJson(app: FastifyInstance, options: { also?: readonly string[]; whatever?: boolean } = {}): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    ['application/json', ...(options.also ?? []), ...(options.whatever ? ['*'] : [])],
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
