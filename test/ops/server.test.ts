import { connect } from 'node:net';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { Counter, Registry } from 'prom-client';
import { checkHealth, type HealthCheck } from '../../src/ops/health.ts';
import { OpsServer } from '../../src/ops/server.ts';

describe('ops/server', () => {
  let running: OpsServer | undefined;
  afterEach(async () => {
    await running?.stop();
    running = undefined;
  });

  async function started(readiness: readonly HealthCheck[] = [], registry = new Registry()): Promise<number> {
    running = new OpsServer({ listen: '127.0.0.1:0', registry, readiness });
    return running.start();
  }
  async function asked(port: number, path: string, method = 'GET'): Promise<readonly [number, string]> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return [answer.status, await answer.text()];
  }
  /** The status line that raw bytes get. */
  function askedRaw(port: number, target: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`),
      );
      socket.on('data', (chunk) => (text += String(chunk)));
      socket.on('end', () => resolve(text.split('\r\n')[0] ?? ''));
      socket.on('error', reject);
    });
  }

  it('says ok at /livez, whatever is not ready', async () => {
    const port = await started([{ name: 'vault', check: () => 'sealed' }]);
    expect(await asked(port, '/livez')).to.deep.equal([200, 'ok\n']);
  });

  it('lists every check at /readyz', async () => {
    const port = await started([
      { name: 'informer-csrs', check: () => undefined },
      { name: 'vault', check: () => Promise.resolve(undefined) },
    ]);
    expect(await asked(port, '/readyz')).to.deep.equal([200, '[+]informer-csrs ok\n[+]vault ok\n']);
  });

  it('answers 503 at /readyz with what is wrong, the rest beside it', async () => {
    const port = await started([
      { name: 'informer-csrs', check: () => 'no complete, recent copy of the objects' },
      { name: 'vault', check: () => Promise.reject(new Error('connection refused')) },
      { name: 'authority', check: () => undefined },
    ]);
    expect(await asked(port, '/readyz')).to.deep.equal([
      503,
      '[-]informer-csrs no complete, recent copy of the objects\n[-]vault connection refused\n[+]authority ok\n',
    ]);
  });

  it('answers the metrics with the content type that Prometheus wants', async () => {
    const registry = new Registry();
    new Counter({ name: 'things_total', help: 'Things', registers: [registry] }).inc(3);
    const port = await started([], registry);
    const answer = await fetch(`http://127.0.0.1:${port}/metrics?name[]=a`);
    expect(answer.headers.get('content-type')).to.equal(registry.contentType);
    expect(await answer.text()).to.contain('things_total 3');
  });

  it('answers 500 when the metrics cannot be gathered, and lives on', async () => {
    const registry = new Registry();
    registry.metrics = () => Promise.reject(new Error('broken'));
    const port = await started([], registry);
    expect((await asked(port, '/metrics'))[0]).to.equal(500);
    expect((await asked(port, '/livez'))[0]).to.equal(200);
  });

  it('answers 404 for any other path and 405 for any other method', async () => {
    const port = await started();
    expect((await asked(port, '/'))[0]).to.equal(404);
    expect((await asked(port, '/metricsx'))[0]).to.equal(404);
    expect((await asked(port, '/livez', 'POST'))[0]).to.equal(405);
    expect(await asked(port, '/livez', 'HEAD')).to.deep.equal([200, '']);
  });

  for (const target of ['//', '//[', 'http://[', '*', '/%', '/livez?//']) {
    it(`survives a request for ${target}`, async () => {
      const port = await started();
      expect(await askedRaw(port, target)).to.match(/^HTTP\/1\.1 (200|400|404) /);
      expect((await asked(port, '/livez'))[0]).to.equal(200);
    });
  }

  it('cannot start on a port that is taken', async () => {
    const port = await started();
    const second = new OpsServer({ listen: `127.0.0.1:${port}`, registry: new Registry(), readiness: [] });
    const error = await second.start().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).to.have.property('code', 'EADDRINUSE');
    await second.stop();
  });

  it('listens on an IPv6 address in brackets', async () => {
    running = new OpsServer({ listen: '[::1]:0', registry: new Registry(), readiness: [] });
    const port = await running.start();
    expect((await fetch(`http://[::1]:${port}/livez`)).status).to.equal(200);
  });

  it('stops though a client holds its connection open', async () => {
    const port = await started();
    const socket = connect(port, '127.0.0.1');
    await new Promise((resolve) => socket.on('connect', resolve));
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.on('close', resolve));
    await running?.stop();
    running = undefined;
    await closed;
  });
});

describe('ops/health', () => {
  it('takes a check for ill that has no answer in time', async () => {
    const stop = new AbortController();
    const report = checkHealth([{ name: 'hung', check: () => new Promise(() => {}) }], stop.signal);
    stop.abort();
    expect(await report).to.deep.equal({ ready: false, checks: [{ name: 'hung', problem: 'no answer in time' }] });
  });
});
