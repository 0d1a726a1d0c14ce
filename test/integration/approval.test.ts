import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import { buildCsrPem, type CsrParts } from '../support/csr-builder.ts';
import { csrBody, CSRS, type SeenCsr, seenCsrs, tokenClient, until } from '../support/crowd.ts';
import { requireService, type Running } from '../support/running-service.ts';

const SERVING = 'kubernetes.io/kubelet-serving';
const SERVING_USAGES = ['digital signature', 'server auth'];

/** Creates a CSR as `client` and answers it once it is issued, failed, denied, or reported as waiting. */
async function ask(
  { controlPlane, service }: Running,
  client: HttpsClient,
  name: string,
  request: string,
  options: Parameters<typeof csrBody>[2] = {},
): Promise<{ csr: SeenCsr; verdict: string; reason: string }> {
  await client.must('POST', CSRS, csrBody(name, request, options));
  return until(`${name} is decided on`, async () => {
    const line = service()
      .lines()
      .find((each) => each.csr === name && each.verdict !== undefined);
    const [csr] = await seenCsrs(controlPlane, name);
    if (line === undefined || csr === undefined) return undefined;
    if (line.verdict === 'approve' && (csr.status.certificate ?? '') === '') return undefined;
    return { csr, verdict: line.verdict ?? '', reason: line.reason ?? '' };
  });
}

function certificateOf(csr: SeenCsr): X509Certificate {
  return new X509Certificate(Buffer.from(csr.status.certificate ?? '', 'base64'));
}

describe('approver and signer on the real API server', function () {
  this.timeout(120_000);
  const running = requireService({
    pools: { blue: { nodeNames: 'blue-[0-9]+' } },
    serving: { addressRanges: ['10.20.0.0/16', 'fd00:20::/32'], dnsSuffixes: ['example.internal'] },
  });
  const clients = new Map<string, HttpsClient>();

  async function asNode(name: string): Promise<HttpsClient> {
    const known = clients.get(name);
    if (known !== undefined) return known;
    const client = new HttpsClient(readKubeconfig(await running().controlPlane.nodeKubeconfig(name)));
    clients.set(name, client);
    return client;
  }

  describe('a first certificate', () => {
    it('is issued to the node that the token is bound to, as system:node:<name> in system:nodes', async () => {
      const { client } = await tokenClient(running().controlPlane, { kind: 'node', node: 'ap-1.zone.internal' });
      const request = buildCsrPem({ commonName: 'system:node:ap-1.zone.internal' });
      const { csr, verdict, reason } = await ask(running(), client, 'ap-bound', request);
      expect({ verdict, reason }).to.deep.equal({ verdict: 'approve', reason: 'BootstrapApproved' });
      const certificate = certificateOf(csr);
      expect(certificate.subject).to.equal('O=system:nodes\nCN=system:node:ap-1.zone.internal');
      expect(certificate.verify(new X509Certificate(running().controlPlane.ca.certificate).publicKey)).to.equal(true);
    });

    it('is issued to a node of the pool that the token is bound to', async () => {
      const { client } = await tokenClient(running().controlPlane, { kind: 'pool', pool: 'blue' });
      const { verdict } = await ask(running(), client, 'ap-pool', buildCsrPem({ commonName: 'system:node:blue-7' }));
      expect(verdict).to.equal('approve');
    });

    const waiting: readonly (readonly [
      string,
      string,
      Parameters<typeof tokenClient>[1],
      CsrParts,
      Parameters<typeof csrBody>[2],
      string,
    ])[] = [
      [
        'of another node waits',
        'ap-other',
        { kind: 'node', node: 'ap-2' },
        { commonName: 'system:node:ap-3' },
        {},
        'TokenBoundToOtherNode',
      ],
      [
        'outside the pattern of the pool waits',
        'ap-outside',
        { kind: 'pool', pool: 'blue' },
        { commonName: 'system:node:xblue-7' },
        {},
        'NodeNameNotInPool',
      ],
      [
        'of a pool that is not in the config waits',
        'ap-unknown-pool',
        { kind: 'pool', pool: 'green' },
        { commonName: 'system:node:green-1' },
        {},
        'TokenPoolUnknown',
      ],
      [
        'with a token that is bound to nothing waits',
        'ap-unbound',
        undefined,
        { commonName: 'system:node:ap-4' },
        {},
        'TokenNotBound',
      ],
      [
        'in another organization waits',
        'ap-org',
        { kind: 'node', node: 'ap-5' },
        { commonName: 'system:node:ap-5', organization: 'system:nodez' },
        {},
        'OrganizationNotSystemNodes',
      ],
      [
        'with an empty node name waits',
        'ap-empty',
        { kind: 'node', node: 'ap-6' },
        { commonName: 'system:node:' },
        {},
        'CommonNameNotNode',
      ],
      [
        'with a DNS name waits',
        'ap-san',
        { kind: 'node', node: 'ap-7' },
        { commonName: 'system:node:ap-7', dns: ['ap-7'] },
        {},
        'SanNotAllowed',
      ],
      [
        'with one usage too many waits',
        'ap-usages',
        { kind: 'node', node: 'ap-8' },
        { commonName: 'system:node:ap-8' },
        { usages: ['digital signature', 'client auth', 'server auth'] },
        'UsagesNotExact',
      ],
      [
        'with one usage too few waits',
        'ap-usage',
        { kind: 'node', node: 'ap-9' },
        { commonName: 'system:node:ap-9' },
        { usages: ['client auth'] },
        'UsagesNotExact',
      ],
      [
        'for longer than is admitted waits',
        'ap-long',
        { kind: 'node', node: 'ap-10' },
        { commonName: 'system:node:ap-10' },
        { expirationSeconds: 31_536_001 },
        'DurationTooLong',
      ],
      [
        'for a serving certificate waits',
        'ap-serving',
        { kind: 'node', node: 'ap-11' },
        { commonName: 'system:node:ap-11', dns: ['ap-11'] },
        { signerName: SERVING, usages: SERVING_USAGES },
        'RequesterNotRecognised',
      ],
    ];
    for (const [sentence, name, binding, parts, options, reason] of waiting) {
      it(sentence, async () => {
        const { client } = await tokenClient(running().controlPlane, binding);
        const found = await ask(running(), client, name, buildCsrPem(parts), options);
        expect({ verdict: found.verdict, reason: found.reason }).to.deep.equal({ verdict: 'wait', reason });
        expect(found.csr.status.conditions ?? []).to.deep.equal([]);
      });
    }

    it('with an expired token waits, although the token logged in a moment before', async () => {
      const { client, id } = await tokenClient(running().controlPlane, { kind: 'node', node: 'ap-12' });
      await client.must('GET', CSRS);
      const secret = `/api/v1/namespaces/kube-system/secrets/bootstrap-token-${id}`;
      await running().controlPlane.admin.must('DELETE', secret);
      const { verdict, reason } = await ask(
        running(),
        client,
        'ap-revoked',
        buildCsrPem({ commonName: 'system:node:ap-12' }),
      );
      expect({ verdict, reason }).to.deep.equal({ verdict: 'wait', reason: 'TokenNotFound' });
    });

    it('of 1 MB of padding waits, and the service goes on', async () => {
      const { client } = await tokenClient(running().controlPlane, { kind: 'node', node: 'ap-13' });
      const request = buildCsrPem({ commonName: 'system:node:ap-13' }) + '\n'.repeat(1_000_000);
      const { reason } = await ask(running(), client, 'ap-huge', request);
      expect(reason).to.equal('RequestTooLarge');
    });

    it('with text around its PEM block waits', async () => {
      const { client } = await tokenClient(running().controlPlane, { kind: 'node', node: 'ap-14' });
      const { reason } = await ask(
        running(),
        client,
        'ap-text',
        `${buildCsrPem({ commonName: 'system:node:ap-14' })}garbage\n`,
      );
      expect(reason).to.equal('PemMalformed');
    });
  });

  describe('a renewal', () => {
    before(async () => {
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'ap-20' } };
      await running().controlPlane.admin.must('POST', '/api/v1/nodes', node);
    });

    it('by the node itself is issued', async () => {
      const { csr, reason } = await ask(
        running(),
        await asNode('ap-20'),
        'ap-renewal',
        buildCsrPem({ commonName: 'system:node:ap-20' }),
      );
      expect(reason).to.equal('RenewalApproved');
      expect(certificateOf(csr).subject).to.equal('O=system:nodes\nCN=system:node:ap-20');
    });

    it('with an RSA key and key encipherment is issued with it', async () => {
      const request = buildCsrPem({ commonName: 'system:node:ap-20', key: 'RSA-2048' });
      const usages = ['key encipherment', 'digital signature', 'client auth'];
      const { csr, verdict } = await ask(running(), await asNode('ap-20'), 'ap-renewal-rsa', request, { usages });
      expect(verdict).to.equal('approve');
      expect(certificateOf(csr).publicKey.asymmetricKeyType).to.equal('rsa');
    });
  });

  describe('a serving certificate', () => {
    const serving = { signerName: SERVING, usages: SERVING_USAGES };
    it('for its own names and admitted addresses is issued with them, names first', async () => {
      const parts = {
        commonName: 'system:node:ap-21',
        dns: ['ap-21', 'ap-21.example.internal'],
        ips: ['10.20.0.7', 'fd00:20::7'],
      };
      const { csr, reason } = await ask(running(), await asNode('ap-21'), 'ap-serve', buildCsrPem(parts), serving);
      expect(reason).to.equal('ServingApproved');
      expect(certificateOf(csr).subjectAltName).to.equal(
        'DNS:ap-21, DNS:ap-21.example.internal, IP Address:10.20.0.7, IP Address:FD00:20:0:0:0:0:0:7',
      );
    });

    const waiting: readonly (readonly [string, string, CsrParts, string])[] = [
      ['for an address outside the ranges waits', 'ap-ip', { ips: ['10.29.0.1'] }, 'IpAddressOutOfRange'],
      ["for another node's name waits", 'ap-dns', { dns: ['ap-22'], ips: ['10.20.0.7'] }, 'DnsNameNotOfNode'],
      [
        'for the API server waits',
        'ap-api',
        { dns: ['kubernetes.default.svc'], ips: ['10.20.0.7'] },
        'DnsNameNotOfNode',
      ],
      ['for no name and no address waits', 'ap-none', {}, 'SanMissing'],
    ];
    for (const [sentence, name, parts, reason] of waiting) {
      it(sentence, async () => {
        const request = buildCsrPem({ commonName: 'system:node:ap-21', ...parts });
        const found = await ask(running(), await asNode('ap-21'), name, request, serving);
        expect({ verdict: found.verdict, reason: found.reason }).to.deep.equal({ verdict: 'wait', reason });
      });
    }
  });

  describe('what is not ours', () => {
    before('an admin approves a CSR of another signer', async () => {
      const { admin } = running().controlPlane;
      const options = { signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] };
      await admin.must(
        'POST',
        CSRS,
        csrBody('ap-foreign', buildCsrPem({ commonName: 'somebody', organization: 'people' }), options),
      );
    });

    it('is never decided on, even when asked for by a node', async () => {
      // What was asked for later has been decided on, so this one was seen before.
      await ask(running(), await asNode('ap-23'), 'ap-after-foreign', buildCsrPem({ commonName: 'system:node:ap-23' }));
      const [csr] = await seenCsrs(running().controlPlane, 'ap-foreign');
      expect(csr?.status).to.deep.equal({});
      expect(running().service().log()).not.to.include('ap-foreign');
    });

    it('a kubelet CSR by anybody else waits for somebody else', async () => {
      const { admin } = running().controlPlane;
      const { reason } = await ask(running(), admin, 'ap-admin', buildCsrPem({ commonName: 'system:node:ap-24' }));
      expect(reason).to.equal('RequesterNotRecognised');
    });
  });

  describe('what the owner of a node sees', () => {
    it('a waiting CSR is told of in an Event in the namespace default, where describe shows it', async () => {
      const event = await until('the Event', async () => {
        const list = (await running().controlPlane.admin.must(
          'GET',
          '/apis/events.k8s.io/v1/namespaces/default/events',
        )) as {
          items: { reason: string; note: string; regarding: { name: string; uid: string } }[];
        };
        return list.items.find(({ regarding }) => regarding.name === 'ap-other');
      });
      const [csr] = await seenCsrs(running().controlPlane, 'ap-other');
      expect(event.reason).to.equal('TokenBoundToOtherNode');
      expect(event.regarding.uid).to.equal(csr?.metadata.uid);
    });

    it('an approval by somebody else is not trusted: what we would not approve is not signed, what can never be right is Failed', async () => {
      const { controlPlane } = running();
      const { client } = await tokenClient(controlPlane, { kind: 'node', node: 'ap-30' });
      const approve = async (name: string): Promise<void> => {
        const csr = (await controlPlane.admin.must('GET', `${CSRS}/${name}`)) as { status: { conditions?: object[] } };
        csr.status.conditions = [{ type: 'Approved', status: 'True', reason: 'ByHand', message: 'by hand' }];
        await controlPlane.admin.must('PUT', `${CSRS}/${name}/approval`, csr);
      };
      await ask(running(), client, 'ap-trust-wait', buildCsrPem({ commonName: 'system:node:ap-31' }));
      await ask(running(), client, 'ap-trust-fail', buildCsrPem({ commonName: 'system:node:ap-30', dns: ['x'] }));
      await approve('ap-trust-wait');
      await approve('ap-trust-fail');
      const failed = await until('it failed', async () => {
        const [csr] = await seenCsrs(controlPlane, 'ap-trust-fail');
        return csr?.status.conditions?.find(({ type }) => type === 'Failed');
      });
      expect(failed.reason).to.equal('SanNotAllowed');
      await until(
        'the other one is withheld',
        async () =>
          (await running()
            .service()
            .metric('kubelet_bootstrap_signatures_withheld_total', { reason: 'TokenBoundToOtherNode' })) > 0,
      );
      const [held] = await seenCsrs(controlPlane, 'ap-trust-wait');
      expect(held?.status.certificate).to.equal(undefined);
      expect(held?.status.conditions?.map(({ type }) => type)).to.deep.equal(['Approved']);
    });
  });
});
