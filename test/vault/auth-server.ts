import { type Answer, type FaultServer, json, startFaultServer } from './fault-server.ts';

/** A Vault of which a test sets the answers to a login, a renewal, a look-up and a read. */
export class AuthServer {
  readonly #server: FaultServer;
  logins = 0;
  renewals = 0;
  lease = 3_600;
  renewable = true;
  renewedLease: number | undefined;
  refusal: Answer | undefined;
  renewal: Answer | undefined;
  /** Called before a look-up is answered; it calls `go` when it may be. */
  beforeLookup: (go: () => void) => void = (go) => go();
  /** Tokens that work; a login adds one. */
  readonly alive = new Set<string>();
  /** Tokens that may read. */
  allowed: (token: string) => boolean = () => true;

  private constructor(server: FaultServer) {
    this.#server = server;
    server.answer = (request, response) => this.#route(request.url)(request, response);
  }

  static async start(): Promise<AuthServer> {
    return new AuthServer(await startFaultServer(json(500)));
  }

  get address(): string {
    return this.#server.address;
  }

  count(path: string): number {
    return this.#server.seen.filter(({ url }) => url === `/v1/${path}`).length;
  }

  bodies(path: string): unknown[] {
    return this.#server.seen.filter(({ url }) => url === `/v1/${path}`).map(({ body }) => JSON.parse(body) as unknown);
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #route(url: string): Answer {
    return (request, response) => {
      const token = String(request.headers['x-vault-token']);
      const known = this.alive.has(token);
      let answer = json(403, { errors: ['permission denied'] });
      if (url.endsWith('/login')) {
        answer = this.refusal ?? this.#login();
      } else if (url.endsWith('/renew-self')) {
        this.renewals += 1;
        answer = this.renewal ?? (known ? this.#auth(token, this.renewedLease ?? this.lease) : answer);
      } else if (url.endsWith('/lookup-self')) {
        const told = known ? json(200, { data: { ttl: this.lease, renewable: this.renewable } }) : answer;
        answer = (...to) => this.beforeLookup(() => told(...to));
      } else if (url.endsWith('/seal-status')) {
        answer = json(200, { sealed: false, initialized: true });
      } else if (known && this.allowed(token)) {
        answer = json(200, { data: { token } });
      }
      answer(request, response);
    };
  }

  #login(): Answer {
    this.logins += 1;
    const token = `s.login-${this.logins}`;
    this.alive.add(token);
    return this.#auth(token, this.lease);
  }

  #auth(token: string, lease: number): Answer {
    return json(200, { auth: { client_token: token, lease_duration: lease, renewable: this.renewable } });
  }
}
