/** Routes that change something. What a PUT or POST does its query and type say too, whatever it is addressed to. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { accountPostHeaders, changeAccount, owned } from './account.ts';
import { answer } from './answer.ts';
import { octets, withoutRest } from './body.ts';
import { bulkDelete, extractArchive } from './bulk.ts';
import { type ContainerServices, changeContainer, makeContainer } from './container.ts';
import { postForm } from './form-post.ts';
import { boundaryOf } from './multipart-form.ts';
import { containerHeaders, objectCopyHeaders, objectPostHeaders, objectPutHeaders } from './object-contracts.ts';
import { changeObject, copyObject, deleteObject, putObject } from './object-write.ts';
import { queryOf } from './request.ts';
import { admitSigned } from './signed.ts';

const text = Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())]));
const accountQuery = Type.Object({ 'bulk-delete': text, 'extract-archive': text, format: text });
const objectQuery = Type.Object({
  ...{ 'multipart-manifest': text, 'version-id': text, symlink: text, heartbeat: text, format: text },
  ...{ 'extract-archive': text, temp_url_sig: text, temp_url_expires: text, temp_url_prefix: text },
});

const bytes = { bytes: octets, rights: 'member' } as const;
const report = 'text/plain';

type Does = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

type Routes = (app: Boundary, services: ContainerServices) => void;

const whole = (work: Does) => (request: FastifyRequest, reply: FastifyReply) =>
  withoutRest(request, () => work(request, reply));

const formOf = (request: FastifyRequest) => boundaryOf(request.givenType);

export const writingRoutes: Routes = (app, services) => {
  accountRoutes(app, services);
  containerRoutes(app, services);
  objectRoutes(app, services);
};

const accountRoutes: Routes = (app, services) => {
  const account = { ...bytes, query: accountQuery, headers: accountPostHeaders } as const;
  const change: Does = async (request, reply) => {
    if (queryOf(request, 'bulk-delete') !== undefined) return bulkDelete(request, reply, services);
    if (request.method === 'POST') {
      await changeAccount(request, services.containers);
      return answer(reply, { status: 204 });
    }
    if (queryOf(request, 'extract-archive') !== undefined) return extractArchive(request, reply, services);
    // An account is there as soon as its project is, and goes with it.
    if (!owned(request).owner) throw new Refusal(request.visit.caller ? 'forbidden' : 'unauthenticated', '');
    throw new Refusal('invalid', '', { details: { httpStatus: 405, headers: { allow: 'HEAD, GET, POST, OPTIONS' } } });
  };
  const changed = { 200: report, 204: null };
  const path = '/v1/:account';
  app.post(path, { ...account, summary: "Change an account's metadata", answers: changed }, whole(change));
  app.put(path, { ...account, summary: 'Take in an archive', answers: { 200: report } }, whole(change));
  app.delete(path, { ...account, summary: 'Delete what a list names', answers: { 200: report } }, whole(change));
};

const containerRoutes: Routes = (app, services) => {
  const path = '/v1/:account/:container';
  const container = { ...bytes, query: accountQuery, headers: containerHeaders } as const;
  const made = { 200: report, 201: null, 202: null };
  app.put(
    path,
    { ...container, summary: 'Make a container, or change it', answers: made },
    whole((request, reply) =>
      queryOf(request, 'extract-archive') === undefined
        ? makeContainer(request, reply, services.containers)
        : extractArchive(request, reply, services),
    ),
  );
  const changed = { 201: null, 204: null, 303: null };
  app.post(
    path,
    { ...container, summary: "Change a container's metadata", answers: changed },
    whole(async (request, reply) => {
      const form = formOf(request);
      if (form !== undefined) return postForm(request, reply, services, form);
      await changeContainer(request, services.containers);
      return answer(reply, { status: 204 });
    }),
  );
};

const objectRoutes: Routes = (app, services) => {
  const path = '/v1/:account/:container/:object';
  const object = { ...bytes, query: objectQuery } as const;
  const signed = (work: Does) =>
    whole(async (request, reply) => {
      await admitSigned(request, services.containers);
      return work(request, reply);
    });
  app.put(
    path,
    { ...object, headers: objectPutHeaders, summary: 'Upload an object', answers: { 200: report, 201: null } },
    signed((request, reply) =>
      queryOf(request, 'extract-archive') === undefined
        ? putObject(request, reply, services)
        : extractArchive(request, reply, services),
    ),
  );
  const changed = { 201: null, 202: null, 303: null, 307: null };
  app.post(
    path,
    { ...object, headers: objectPostHeaders, summary: "Change an object's metadata", answers: changed },
    signed(async (request, reply) => {
      const form = formOf(request);
      return form === undefined ? changeObject(request, reply, services) : postForm(request, reply, services, form);
    }),
  );
  const copied = { summary: 'Copy an object', answers: { 201: null } } as const;
  app.route(
    ['COPY'],
    path,
    { ...object, ...copied, headers: objectCopyHeaders },
    whole((request, reply) => copyObject(request, reply, services)),
  );
  app.delete(
    path,
    { ...object, summary: 'Delete an object', answers: { 200: report, 204: null } },
    signed((request, reply) => deleteObject(request, reply, services)),
  );
};
