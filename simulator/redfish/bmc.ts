/** A service processor (BMC) that speaks Redfish over TLS, with what vendors do otherwise and with what goes wrong. All is in memory; when it goes, nothing is left. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What some vendors do. */
export type Quirk =
  | 'sessions only'
  /** Resets have no `target`, and the system no `Actions`. */
  | 'no actions'
  /** Links with the whole address. */
  | 'absolute links'
  /** A machine that is off refuses to be turned off. */
  | 'conflict when off'
  | 'accepts with a task'
  /** Each answer ends its connection. */
  | 'no keep-alive'
  /** `EnvironmentMetrics` instead of `Power`. */
  | 'environment metrics'
  | 'watts as text'
  /** `PoweringOff` for a while: for so many looks. */
  | 'slow to go off'
  | 'two systems';

/** What goes wrong. */
export type Trouble =
  /** It never answers. */
  | 'silent'
  | 'server error'
  | 'half an answer'
  | 'no json'
  | 'endless'
  | 'redirects'
  | 'foreign links'
  /** It accepts each reset, and does nothing. */
  | 'ignores resets'
  /** It says that the machine is off, and does nothing. */
  | 'lies';

export interface FakeBmcOptions {
  tls: { key: string; cert: string };
  user: string;
  password: string;
  /** Null or absent: it says none. */
  uuid?: string | null;
  watts?: number;
  /** The machine has power from now on, or none. */
  onPower?: (on: boolean) => void;
  /** What the machine does that is asked to shut down in order: it has power until that is done. Absent: it is off at once. */
  shutDown?: () => Promise<void>;
}

export class FakeBmc {
  readonly quirks = new Set<Quirk>();
  readonly resets: string[] = [];
  trouble: Trouble | undefined;
  /** Of the machine. */
  power = true;
  password: string;
  /** Requests that came with the right user and password, or a session. */
  served = 0;
  /** All that came. */
  asked = 0;
  readonly sessions = new Set<string>();
  readonly #options: FakeBmcOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #claimsOff = false;
  #looksUntilOff = 0;

  constructor(options: FakeBmcOptions) {
    this.#options = options;
    this.password = options.password;
    this.#server = createServer(options.tls, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
    this.#server.on('secureConnection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {});
    });
    this.#server.on('tlsClientError', () => {});
  }

  /** @returns its address */
  async listen(address = '127.0.0.1'): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, address, resolve));
    return this.#origin;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #origin(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `https://${address}:${port}`;
  }

  #link(path: string): { '@odata.id': string } {
    if (this.trouble === 'foreign links') return { '@odata.id': `https://192.0.2.1${path}` };
    return { '@odata.id': this.quirks.has('absolute links') ? `${this.#origin}${path}` : path };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    this.asked++;
    const { trouble } = this;
    if (trouble === 'silent') return undefined;
    if (trouble === 'redirects') return response.writeHead(308, { location: 'https://192.0.2.1/redfish/v1/' }).end();
    if (trouble === 'server error') return this.#answer(response, 503, { error: { message: 'busy' } });
    if (trouble === 'endless') return pipeline(Readable.from(endless()), response);
    if (trouble === 'no json') return response.end('<html>Please log in</html>');
    const body = await readAll(request);
    if (request.url === '/redfish/v1/SessionService/Sessions') return this.#logIn(response, body);
    if (!this.#isKnown(request)) return this.#answer(response, 401, { error: { message: 'who are you' } });
    this.served++;
    if (request.method === 'DELETE') {
      this.sessions.delete(request.url?.split('/').at(-1) ?? '');
      return this.#answer(response, 204);
    }
    if (request.method === 'POST') return this.#reset(response, body);
    const found = this.#resource(request.url?.replace(/\/$/, '') ?? '');
    return this.#answer(response, found ? 200 : 404, found ?? { error: { message: 'no such resource' } });
  }

  #isKnown({ headers }: IncomingMessage): boolean {
    const token = headers['x-auth-token'];
    if (typeof token === 'string') return this.sessions.has(token);
    if (this.quirks.has('sessions only')) return false;
    const expected = Buffer.from(`${this.#options.user}:${this.password}`).toString('base64');
    return headers.authorization === `Basic ${expected}`;
  }

  #logIn(response: ServerResponse, body: string): ServerResponse {
    const { UserName: user, Password: password } = JSON.parse(body) as Record<string, string>;
    if (user !== this.#options.user || password !== this.password)
      return this.#answer(response, 401, { error: { message: 'no' } });
    const token = `session-${this.sessions.size + 1}`;
    this.sessions.add(token);
    response.setHeader('x-auth-token', token);
    response.setHeader('location', this.#link(`/redfish/v1/SessionService/Sessions/${token}`)['@odata.id']);
    return this.#answer(response, 201, {});
  }

  #reset(response: ServerResponse, body: string): ServerResponse {
    const { ResetType: type = '' } = JSON.parse(body) as { ResetType?: string };
    this.resets.push(type);
    if (!this.power && type !== 'On' && this.quirks.has('conflict when off')) {
      const said = { MessageId: 'Base.1.8.InvalidOperationForSystemState', Message: 'Server is already powered OFF.' };
      return this.#answer(response, 409, { error: { code: said.MessageId, '@Message.ExtendedInfo': [said] } });
    }
    const { shutDown } = this.#options;
    if (this.trouble === 'lies') this.#claimsOff = type !== 'On';
    else if (type === 'GracefulShutdown' && shutDown && this.trouble !== 'ignores resets') this.#shutDown(shutDown);
    else if (this.trouble !== 'ignores resets') this.turn(type === 'On');
    if (this.quirks.has('accepts with a task')) return this.#answer(response, 202, { TaskState: 'Running' });
    return this.#answer(response, 204);
  }

  #shutDown(shutDown: () => Promise<void>): void {
    if (!this.power) return;
    // One that does not come to its end stays on.
    shutDown().then(
      () => this.turn(false),
      () => {},
    );
  }

  /** As somebody at its button. */
  turn(on: boolean): void {
    const changes = this.power !== on;
    this.#looksUntilOff = !on && this.quirks.has('slow to go off') ? 3 : 0;
    this.power = on;
    if (changes) this.#options.onPower?.(on);
  }

  get #state(): string {
    if (this.#claimsOff) return 'Off';
    if (this.#looksUntilOff > 0) {
      this.#looksUntilOff--;
      return 'PoweringOff';
    }
    return this.power ? 'On' : 'Off';
  }

  #resource(path: string): object | undefined {
    const { uuid = null } = this.#options;
    const systems = ['/redfish/v1/Systems/1', ...(this.quirks.has('two systems') ? ['/redfish/v1/Systems/2'] : [])];
    if (path === '/redfish/v1') return { Systems: this.#link('/redfish/v1/Systems') };
    if (path === '/redfish/v1/Systems') return { Members: systems.map((one) => this.#link(one)) };
    if (systems.includes(path)) {
      const target = this.#link(`${path}/Actions/ComputerSystem.Reset`)['@odata.id'];
      return {
        ...{ ...this.#link(path), Id: path.at(-1), UUID: uuid, PowerState: this.#state },
        ...{ Manufacturer: 'Contoso', Model: '3500', SerialNumber: '437XR1138R2' },
        Links: { Chassis: [this.#link('/redfish/v1/Chassis/1')] },
        ...(!this.quirks.has('no actions') && { Actions: { '#ComputerSystem.Reset': { target } } }),
      };
    }
    return this.#chassis(path);
  }

  #chassis(path: string): object | undefined {
    const newer = this.quirks.has('environment metrics');
    const { watts = 344 } = this.#options;
    const taken = this.power ? watts : null;
    const reading = this.quirks.has('watts as text') && taken !== null ? `${taken}.5 W` : taken;
    if (path === '/redfish/v1/Chassis/1')
      return newer
        ? { EnvironmentMetrics: this.#link('/redfish/v1/Chassis/1/EnvironmentMetrics') }
        : { Power: this.#link('/redfish/v1/Chassis/1/Power') };
    if (newer && path.endsWith('/EnvironmentMetrics')) return { PowerWatts: { Reading: reading } };
    if (!newer && path.endsWith('/Power')) return { PowerControl: [{ PowerConsumedWatts: reading }] };
    return undefined;
  }

  #answer(response: ServerResponse, status: number, body?: object): ServerResponse {
    const text = body === undefined ? '' : JSON.stringify(body);
    response.setHeader('content-type', 'application/json');
    if (this.quirks.has('no keep-alive')) response.setHeader('connection', 'close');
    response.writeHead(status, { 'content-length': Buffer.byteLength(text) });
    if (this.trouble === 'half an answer' && text.length > 1) {
      response.write(text.slice(0, text.length / 2), () => response.destroy());
      return response;
    }
    return response.end(text);
  }
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function* endless(): Generator<string> {
  for (;;) yield 'x'.repeat(65_536);
}
