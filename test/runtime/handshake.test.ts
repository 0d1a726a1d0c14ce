import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { createCa } from '../../scripts/servers/pki.ts';
import { serverCertificates } from '../../src/runtime/handshake.ts';
import { failureOf } from '../controllers/world.ts';
import { never } from '../kubernetes/fixture.ts';
import { testAuthority } from '../support/test-authority.ts';

describe('runtime/handshake', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const listen = (server: Server): Promise<URL> => {
    servers.push(server);
    return new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        resolve(new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`));
      });
    });
  };
  const subjects = (chain: readonly Buffer[]): string[] => chain.map((der) => new X509Certificate(der).subject);

  it('answers what the server shows, and sends nothing', async () => {
    const ca = await createCa('CA');
    const { certificate: cert, key } = await ca.server('shown', ['127.0.0.1']);
    let requests = 0;
    const address = await listen(createServer({ cert, key }, () => (requests += 1)));
    expect(subjects(await serverCertificates(address, { ca: ca.certificate }, never))[0]).to.equal('CN=shown');
    expect(requests).to.equal(0);
  });

  it('does not take the word of a server that is not trusted', async () => {
    const [ca, other] = [await createCa('CA'), await createCa('CA')];
    const { certificate: cert, key } = await ca.server('shown', ['127.0.0.1']);
    const address = await listen(createServer({ cert, key }));
    const error = await failureOf(serverCertificates(address, { ca: other.certificate }, never));
    expect(String(error)).to.include('not trusted');
    const elsewhere = await ca.server('shown', ['192.0.2.1']);
    const wrongName = await listen(createServer({ cert: elsewhere.certificate, key: elsewhere.key }));
    expect(String(await failureOf(serverCertificates(wrongName, { ca: ca.certificate }, never)))).to.include(
      'ERR_TLS_CERT_ALTNAME_INVALID',
    );
  });

  it('answers a certificate that has expired', async () => {
    const over = await testAuthority('P-256', { subject: 'CN=over', notAfter: new Date(Date.now() - 1_000) });
    const address = await listen(createServer({ cert: over.certPem, key: over.keyPem }));
    expect(subjects(await serverCertificates(address, { ca: over.certPem }, never))).to.deep.equal(['CN=over']);
  });

  it('rejects where nobody listens, or nobody speaks TLS, and when it is aborted', async () => {
    const closed = createTcpServer();
    const address = await listen(closed);
    await new Promise((resolve) => closed.close(resolve));
    expect(String(await failureOf(serverCertificates(address, {}, never)))).to.include('ECONNREFUSED');
    const silent = await listen(createTcpServer((socket) => void socket.on('error', () => {})));
    const abort = new AbortController();
    const handshake = failureOf(serverCertificates(silent, {}, abort.signal));
    abort.abort(new Error('enough'));
    expect(String(await handshake)).to.include('enough');
  });
});
