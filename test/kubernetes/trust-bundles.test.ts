import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import type { Thing } from '../../src/expiry/thing.ts';
import { clientCas, servingCertificate, tlsSecrets } from '../../src/kubernetes/cluster-certificates.ts';
import { trustBundles } from '../../src/kubernetes/trust-bundles.ts';
import type { ExpirySource } from '../../src/ports.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { failureOf } from '../controllers/world.ts';
import { json, status } from '../support/fault-apiserver.ts';
import { testAuthority } from '../support/test-authority.ts';
import { never, TransportFixture } from './fixture.ts';

const meta = (name: string): object => ({ name, uid: `uid-${name}`, resourceVersion: '1' });
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('kubernetes: things with an end', () => {
  const fixture = new TransportFixture();
  let one: string;
  let two: string;
  before(async () => {
    one = (await testAuthority('P-256', { subject: 'CN=one' })).certPem;
    two = (await testAuthority('P-256', { subject: 'CN=two' })).certPem;
  });

  const read = async (kind: Thing['kind'], ...items: object[]): Promise<readonly Thing[]> => {
    fixture.server.answer = json(200, { metadata: { resourceVersion: '9' }, items });
    const source = trustBundles(fixture.transport(), systemClock).find((each) => each.kind === kind);
    return (await source?.read(never)) ?? [];
  };
  const short = (things: readonly Thing[]): readonly (readonly string[])[] =>
    things.map(({ name, reading }) => [name, reading.kind, reading.note]);
  const hook = (name: string, caBundle?: string): object => ({
    name,
    clientConfig: caBundle === undefined ? {} : { caBundle: base64(caBundle) },
  });

  it('reads the bundles of a webhook configuration, those that are the same once', async () => {
    const things = await read(
      'validating-webhook',
      { metadata: meta('alike'), webhooks: [hook('a', one), hook('b', one)] },
      { metadata: meta('different'), webhooks: [hook('a', one), hook('b', two), hook('c')] },
      { metadata: meta('empty') },
    );
    expect(short(things)).to.deep.equal([
      ['alike', 'ends', 'CN=one'],
      ['different', 'ends', 'a: CN=one'],
      ['different/b', 'ends', 'b: CN=two'],
      ['different/c', 'none', "no caBundle: checked with the API server's own list of CAs"],
    ]);
    expect(things[2]?.object).to.deep.equal({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      name: 'different',
      uid: 'uid-different',
    });
    const [seen] = fixture.server.seen;
    expect(seen).to.include({ path: '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations' });
    expect(seen?.query.get('limit')).to.equal('500');
    expect(seen?.query.has('watch')).to.equal(false);
  });

  it('takes garbage for what it is, and reads on', async () => {
    const odd = [null, 7, { name: 4, clientConfig: [] }, { clientConfig: { caBundle: { a: 1 } } }, hook('x', '\u0000')];
    const things = await read(
      'mutating-webhook',
      { metadata: meta('odd'), webhooks: odd },
      { metadata: meta('no list'), webhooks: 'many' },
      { metadata: meta('good'), webhooks: [hook('a', one)] },
    );
    expect(things.map(({ name, reading }) => [name, reading.kind])).to.deep.equal([
      ['odd', 'none'],
      ['odd/x', 'unusable'],
      ['good', 'ends'],
    ]);
  });

  it('reads definitions that convert by webhook, in small pages', async () => {
    const spec = (strategy: string): object => ({
      conversion: { strategy, webhook: { clientConfig: { caBundle: base64(one) } } },
    });
    const things = await read(
      'conversion-webhook',
      { metadata: meta('none'), spec: spec('None') },
      { metadata: meta('hook'), spec: spec('Webhook') },
      { metadata: meta('old'), spec: {} },
    );
    expect(short(things)).to.deep.equal([['hook', 'ends', 'CN=one']]);
    expect(fixture.server.seen[0]?.query.get('limit')).to.equal('50');
  });

  it('reads API services that others serve', async () => {
    const service = { name: 'metrics', namespace: 'x' };
    const things = await read(
      'api-service',
      { metadata: meta('v1.'), spec: { service: null } },
      { metadata: meta('v1.apps'), spec: {} },
      { metadata: meta('v1.metrics'), spec: { service, caBundle: base64(two) } },
      { metadata: meta('v1.open'), spec: { service, insecureSkipTLSVerify: true } },
    );
    expect(short(things)).to.deep.equal([
      ['v1.metrics', 'ends', 'CN=two'],
      ['v1.open', 'none', 'insecureSkipTLSVerify: no certificate is checked'],
    ]);
  });

  it('reads every CA whose clients are trusted, that of the front proxy apart', async () => {
    fixture.server.answer = json(200, {
      data: { 'client-ca-file': one + two, 'requestheader-client-ca-file': two, other: one },
    });
    const things = await clientCas(fixture.transport(), systemClock).read(never);
    expect(things.map(({ name }) => name.replace(/ \w{8}$/, ''))).to.deep.equal([
      'CN=one',
      'CN=two',
      'front proxy: CN=two',
    ]);
    fixture.server.answer = json(200, {});
    expect(await clientCas(fixture.transport(), systemClock).read(never)).to.deep.equal([]);
  });

  it('reads TLS Secrets of one namespace, and nothing but their certificates', async () => {
    fixture.server.answer = json(200, {
      metadata: { resourceVersion: '9' },
      items: [
        { metadata: meta('a'), data: { 'tls.crt': base64(one), 'tls.key': base64('KEY') } },
        { metadata: meta('b'), data: { 'tls.key': base64('KEY') } },
      ],
    });
    const things = await tlsSecrets(fixture.transport(), 'hooks', systemClock).read(never);
    expect(short(things)).to.deep.equal([
      ['hooks/a', 'ends', 'CN=one'],
      ['hooks/b', 'unusable', 'holds no certificate that can be read'],
    ]);
    expect(JSON.stringify(things)).to.not.include('KEY');
    const [seen] = fixture.server.seen;
    expect(seen?.path).to.equal('/api/v1/namespaces/hooks/secrets');
    expect(seen?.query.get('fieldSelector')).to.equal('type=kubernetes.io/tls');
  });

  it('reads what the API server shows', async () => {
    const [thing] = await servingCertificate(fixture.transport(), systemClock).read(never);
    expect(thing).to.include({ kind: 'api-server', name: new URL(fixture.server.server).host });
    expect(thing?.reading).to.include({ kind: 'ends', note: 'CN=fault' });
    expect(fixture.server.seen, 'nothing is sent').to.deep.equal([]);
  });

  it('throws what keeps it from reading', async () => {
    const transport = fixture.transport();
    fixture.server.answer = status(403, 'Forbidden', 'no');
    const sources: ExpirySource[] = [
      ...trustBundles(transport, systemClock),
      clientCas(transport, systemClock),
      tlsSecrets(transport, 'hooks', systemClock),
    ];
    for (const source of sources) {
      expect(await failureOf(source.read(never)), source.kind).to.include({ code: 'Forbidden' });
    }
  });
});
