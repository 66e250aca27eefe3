/**
 * Log-in at an OpenID provider with a browser, for dashboards (Horizon's WEBSSO): the addresses that Keystone leaves to a module of its
 * web server, and the one to which the provider sends the browser back. It ends with a page that takes the token to the dashboard.
 */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { webSsoMinutes } from '../../../../control/identity/index.ts';
import { asks, type Deps, query, type Routes } from '../resource.ts';

const root = '/v3/auth/OS-FEDERATION';
const begin = {
  summary: 'Send a browser to an identity provider',
  rights: 'open',
  query: asks('origin'),
  answers: { 302: null },
} as const;
const contracts = {
  begin,
  beginAnywhere: { ...begin, summary: 'Send a browser to the only identity provider with this protocol' },
  finish: {
    summary: 'Take the token of a browser that comes back from an identity provider to its dashboard',
    rights: 'open',
    query: asks('code', 'state', 'iss', 'error'),
    answers: { 200: 'text/html' },
  },
} as const;

export const webSsoRoutes: Routes = (app, deps) => {
  // Keystone answers either; what a POST would bring here is in the address as well.
  app.route(['GET', 'POST'], `${root}/websso/:protocol`, contracts.beginAnywhere, (request, reply) =>
    sendAway(deps, request, reply, { protocol: request.params.protocol }),
  );
  const url = `${root}/identity_providers/:id/protocols/:protocol/websso`;
  app.route(['GET', 'POST'], url, contracts.begin, (request, reply) =>
    sendAway(deps, request, reply, { provider: request.params.id, protocol: request.params.protocol }),
  );
  app.get(`${url}/callback`, contracts.finish, async (request, reply) => {
    const { id: provider, protocol } = request.params;
    const { state, code, iss: issuer, error } = query(request);
    const cookie = cookieName(state ?? '');
    const kept = cookieOf(request, cookie);
    const back = { provider, protocol, kept, state, code, issuer, error };
    const { token, origin } = await deps.identity.finishWebSso(back, request.id);
    setCookie(reply, cookie, '', 0);
    return sendPage(reply, origin, token);
  });
};

async function sendAway(
  deps: Deps,
  request: FastifyRequest,
  reply: FastifyReply,
  wish: { provider?: string; protocol: string },
): Promise<FastifyReply> {
  const { origin } = query(request);
  const { url, state, kept } = await deps.identity.beginWebSso({ ...wish, origin }, request.id);
  setCookie(reply, cookieName(state), kept, webSsoMinutes * 60);
  return reply.header('cache-control', 'no-store').redirect(url, 302);
}

/** One for each log-in: a browser may have begun several. */
const cookieName = (state: string): string => `websso-${state.slice(0, 16).replace(/[^\w-]/g, '')}`;

/** Lax: it comes along when the provider sends the browser back, which is another site's doing. */
function setCookie(reply: FastifyReply, name: string, value: string, seconds: number): void {
  const attributes = `Path=/identity${root}; Max-Age=${seconds}; HttpOnly; Secure; SameSite=Lax`;
  reply.header('set-cookie', `${name}=${value}; ${attributes}`);
}

const cookieOf = (request: FastifyRequest, name: string): string | undefined =>
  request.headers.cookie
    ?.split(/; */)
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1);

const script = "document.forms['sso'].submit()";
const scriptDigest = createHash('sha256').update(script).digest('base64');

/**
 * As Keystone's own page does it. It does nothing else, is kept by nobody and framed by nobody. The dashboard may want to know which site
 * sends the form, but not with what code the browser came: with `no-referrer` Chromium says that it is none. Objects of tenants are pages
 * of this origin too: without a policy for openers one that opened this window could read the token in it.
 */
function sendPage(reply: FastifyReply, origin: string, token: string): FastifyReply {
  const policy = `default-src 'none'; script-src 'sha256-${scriptDigest}'; form-action ${new URL(origin).origin}; frame-ancestors 'none'; base-uri 'none'`;
  return reply
    .header('cache-control', 'no-store')
    .header('referrer-policy', 'strict-origin')
    .header('content-security-policy', policy)
    .header('cross-origin-opener-policy', 'same-origin')
    .type('text/html; charset=utf-8')
    .send(`<!DOCTYPE html>
<html lang="en">
  <head><meta charset="utf-8"><title>Logging in</title></head>
  <body>
    <form id="sso" name="sso" action="${escaped(origin)}" method="post">
      Please wait...
      <input type="hidden" name="token" id="token" value="${escaped(token)}">
      <noscript><input type="submit" value="Continue"></noscript>
    </form>
    <script>${script}</script>
  </body>
</html>
`);
}

const entities: Readonly<Record<string, string>> = {
  ...{ '&': '&amp;', '<': '&lt;', '>': '&gt;' },
  ...{ '"': '&quot;', "'": '&#39;' },
};
const escaped = (text: string): string => text.replace(/[&<>"']/g, (one) => entities[one]!);
