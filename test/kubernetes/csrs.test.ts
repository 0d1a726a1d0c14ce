import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RemoteError } from '../../src/errors.ts';
import { accessReviews } from '../../src/kubernetes/access-reviews.ts';
import { csrListWatch, csrWriter, readCsr } from '../../src/kubernetes/csrs.ts';
import { CLIENT_SIGNER, type Csr } from '../../src/ports.ts';
import { failureOf } from '../controllers/world.ts';
import { testAuthority } from '../support/csr-builder.ts';
import { json, status } from '../support/fault-apiserver.ts';
import { never, TransportFixture } from './fixture.ts';

const PATH = '/apis/certificates.k8s.io/v1/certificatesigningrequests/csr-1';
const AT = '2026-06-01T10:00:00Z';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** A pending CSR as the API server sends it. */
function wire(change: { metadata?: object; spec?: object; status?: object } = {}): object {
  return {
    kind: 'CertificateSigningRequest',
    metadata: { name: 'csr-1', uid: 'u1', resourceVersion: '7', creationTimestamp: AT, ...change.metadata },
    spec: {
      request: base64('PEM'),
      signerName: CLIENT_SIGNER,
      usages: ['digital signature', 'client auth'],
      username: 'system:bootstrap:abcdef',
      groups: ['system:bootstrappers', 'system:authenticated'],
      ...change.spec,
    },
    ...(change.status === undefined ? {} : { status: change.status }),
  };
}

describe('kubernetes/csrs', () => {
  const fixture = new TransportFixture();

  describe('readCsr', () => {
    it('reads a pending CSR, with every field filled', () => {
      expect(readCsr(wire())).to.deep.equal({
        name: 'csr-1',
        uid: 'u1',
        resourceVersion: '7',
        createdAt: Date.parse(AT),
        labels: {},
        annotations: {},
        finalizers: [],
        hasLargeMetadata: false,
        beingDeleted: false,
        signerName: CLIENT_SIGNER,
        requester: {
          username: 'system:bootstrap:abcdef',
          uid: '',
          groups: ['system:bootstrappers', 'system:authenticated'],
          extra: {},
        },
        usages: ['digital signature', 'client auth'],
        expirationSeconds: undefined,
        request: Buffer.from('PEM'),
        conditions: [],
        issued: false,
        certificate: undefined,
      } satisfies Csr);
    });

    const rows: readonly (readonly [string, Parameters<typeof wire>[0], Partial<Csr>])[] = [
      [
        'metadata that a write has to echo',
        { metadata: { labels: { a: 'b' }, annotations: { c: 'd' }, finalizers: ['e/f'] } },
        { labels: { a: 'b' }, annotations: { c: 'd' }, finalizers: ['e/f'] },
      ],
      ['that it is being deleted', { metadata: { deletionTimestamp: AT } }, { beingDeleted: true }],
      [
        'a requester with uid and extra',
        { spec: { username: 'u', uid: 'x', groups: null, extra: { key: ['v', 'w'] } } },
        { requester: { username: 'u', uid: 'x', groups: [], extra: { key: ['v', 'w'] } } },
      ],
      ['the lifetime that is asked for', { spec: { expirationSeconds: 600 } }, { expirationSeconds: 600 }],
      [
        'a lifetime of the wrong type as none',
        { spec: { expirationSeconds: '600' } },
        { expirationSeconds: undefined },
      ],
      ['usages of the wrong type as none', { spec: { usages: 'client auth' } }, { usages: [] }],
      ['a request that is missing as empty', { spec: { request: null } }, { request: Buffer.alloc(0) }],
      [
        'a request over the limit as no more than one over the limit',
        { spec: { request: base64('A'.repeat(1_000_000)) } },
        { request: new Uint8Array(16 * 1024 + 1) },
      ],
      [
        'that annotations are over the limit, and keeps none',
        { metadata: { annotations: { note: 'A'.repeat(16 * 1024) }, finalizers: ['e/f'] } },
        { hasLargeMetadata: true, annotations: {}, labels: {}, finalizers: [], request: Buffer.from('PEM') },
      ],
      [
        'that finalizers are over the limit, and keeps none',
        { metadata: { finalizers: Array.from({ length: 2_000 }, (_, index) => `e.org/${index}`) } },
        { hasLargeMetadata: true, finalizers: [] },
      ],
      ['a creation time that is none as the epoch', { metadata: { creationTimestamp: 'soon' } }, { createdAt: 0 }],
      [
        'a certificate that cannot be read as issued, without an end',
        { status: { certificate: base64('garbage') } },
        { issued: true, certificate: undefined, request: new Uint8Array() },
      ],
      ['no request of a denied one', { status: { conditions: [{ type: 'Denied' }] } }, { request: new Uint8Array() }],
    ];
    for (const [row, change, expected] of rows) {
      it(`reads ${row}`, () => {
        expect(readCsr(wire(change))).to.deep.include(expected);
      });
    }

    it('reads conditions with and without times', () => {
      const conditions = [
        { type: 'Approved', status: 'True', reason: 'r', message: 'm', lastUpdateTime: AT, lastTransitionTime: AT },
        { type: 'Other', status: 'Unknown' },
      ];
      const time = Date.parse(AT);
      expect(readCsr(wire({ status: { conditions } })).conditions).to.deep.equal([
        { type: 'Approved', status: 'True', reason: 'r', message: 'm', lastUpdateTime: time, lastTransitionTime: time },
        {
          type: 'Other',
          status: 'Unknown',
          reason: '',
          message: '',
          lastUpdateTime: undefined,
          lastTransitionTime: undefined,
        },
      ]);
    });

    it('reads the end of a certificate', async () => {
      const notAfter = new Date('2030-01-02T03:04:05Z');
      const { certPem } = await testAuthority('P-256', { notAfter });
      expect(readCsr(wire({ status: { certificate: base64(certPem) } })).certificate?.notAfter).to.equal(+notAfter);
    });

    it('keeps the request of a settled one where that is asked for', () => {
      const settled = wire({ status: { conditions: [{ type: 'Denied', status: 'True' }] } });
      expect(Buffer.from(readCsr(settled, true).request).toString()).to.equal('PEM');
    });

    for (const missing of ['name', 'uid', 'resourceVersion']) {
      it(`refuses an object without ${missing} as Unreadable`, () => {
        expect(() => readCsr(wire({ metadata: { [missing]: undefined } })))
          .to.throw(RemoteError, `metadata.${missing}`)
          .with.property('code', 'Unreadable');
      });
    }

    for (const object of [null, undefined, 'text', [], {}]) {
      it(`refuses ${JSON.stringify(object)} as Unreadable`, () => {
        expect(() => readCsr(object))
          .to.throw(RemoteError)
          .with.property('code', 'Unreadable');
      });
    }
  });

  describe('writes', () => {
    const written = { metadata: { name: 'csr-1', uid: 'u1', resourceVersion: '8' } };
    const other = { type: 'Other', status: 'Unknown', reason: 'o', message: '', lastUpdateTime: AT };
    const csr = (): Csr =>
      readCsr(
        wire({
          metadata: { labels: { a: 'b' }, annotations: { c: 'd' }, finalizers: ['e/f'] },
          status: { conditions: [other] },
        }),
      );
    const echoed = {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: {
        name: 'csr-1',
        uid: 'u1',
        resourceVersion: '7',
        labels: { a: 'b' },
        annotations: { c: 'd' },
        finalizers: ['e/f'],
      },
    };
    const keptCondition = { ...other, lastUpdateTime: '2026-06-01T10:00:00.000Z' };

    it('an approval with PUT to /approval, echoing what would be wiped, and answers the version that came back', async () => {
      fixture.server.answer = json(200, written);
      const answer = await csrWriter(fixture.transport()).decide(csr(), 'Approved', 'Why', 'because', never);
      const [seen] = fixture.server.seen;
      expect(seen).to.deep.include({ method: 'PUT', path: `${PATH}/approval` });
      expect(seen?.headers.accept).to.contain('as=PartialObjectMetadata');
      const added = { type: 'Approved', status: 'True', reason: 'Why', message: 'because' };
      expect(seen?.body).to.deep.equal({ ...echoed, status: { conditions: [keptCondition, added] } });
      expect(answer).to.deep.include({ resourceVersion: '8', labels: { a: 'b' }, issued: false });
      expect(answer.conditions.map(({ type }) => type)).to.deep.equal(['Other', 'Approved']);
    });

    it('a certificate with PUT to /status, echoing the same', async () => {
      fixture.server.answer = json(200, written);
      const { certPem } = await testAuthority();
      const answer = await csrWriter(fixture.transport()).issue(csr(), certPem, never);
      const [seen] = fixture.server.seen;
      expect(seen).to.deep.include({ method: 'PUT', path: `${PATH}/status` });
      expect(seen?.body).to.deep.equal({
        ...echoed,
        status: { conditions: [keptCondition], certificate: base64(certPem) },
      });
      expect(answer).to.include({ issued: true, resourceVersion: '8' });
      expect(answer.certificate?.notAfter).to.be.greaterThan(Date.now());
    });

    it('Failed with PUT to /status', async () => {
      fixture.server.answer = json(200, written);
      await csrWriter(fixture.transport()).fail(csr(), 'UsagesNotExact', 'm', never);
      const [seen] = fixture.server.seen;
      expect(seen).to.deep.include({ method: 'PUT', path: `${PATH}/status` });
      expect(seen?.body).to.have.nested.property('status.conditions[1].type', 'Failed');
    });

    it('a deletion with uid and resourceVersion as preconditions', async () => {
      await csrWriter(fixture.transport()).remove(csr(), never);
      expect(fixture.server.seen[0]).to.deep.include({ method: 'DELETE', path: PATH });
      expect(fixture.server.seen[0]?.body).to.deep.include({ preconditions: { uid: 'u1', resourceVersion: '7' } });
    });

    it('to a name that is no path', async () => {
      fixture.server.answer = json(200, written);
      await csrWriter(fixture.transport()).decide({ ...csr(), name: '../a b?' }, 'Denied', 'r', 'm', never);
      expect(fixture.server.seen[0]?.path).to.equal(PATH.replace('csr-1', '..%2Fa%20b%3F/approval'));
    });

    it('and answers Conflict and NotFound as they are', async () => {
      for (const [code, reason] of [
        [409, 'Conflict'],
        [404, 'NotFound'],
      ] as const) {
        fixture.server.answer = status(code, reason, 'no');
        const writing = csrWriter(fixture.transport()).decide(csr(), 'Approved', 'r', 'm', never);
        expect(await failureOf(writing)).to.include({ code: reason });
      }
    });

    it('nothing for get, which answers undefined for what is gone', async () => {
      const writer = csrWriter(fixture.transport());
      fixture.server.answer = json(200, wire());
      expect(await writer.get('csr-1', never)).to.include({ name: 'csr-1' });
      fixture.server.answer = status(404, 'NotFound', 'gone');
      expect(await writer.get('csr-1', never)).to.equal(undefined);
    });
  });

  it('are listed by signer with a field selector, or all of them', async () => {
    const transport = fixture.transport();
    fixture.server.answer = json(200, { metadata: { resourceVersion: '1' }, items: [wire()] });
    expect((await csrListWatch(transport, CLIENT_SIGNER).list('', never)).items).to.have.length(1);
    await csrListWatch(transport, undefined).list('', never);
    expect(fixture.server.seen.map(({ query }) => query.get('fieldSelector'))).to.deep.equal([
      `spec.signerName=${CLIENT_SIGNER}`,
      null,
    ]);
  });
});

describe('kubernetes/access-reviews', () => {
  const fixture = new TransportFixture();
  const subject = { username: '', uid: '', groups: ['system:nodes'], extra: {} };

  it('ask by groups alone, without an empty user, which the API server would refuse', async () => {
    fixture.server.answer = json(201, { status: { allowed: true, reason: 'RBAC: yes' } });
    const answer = await accessReviews(fixture.transport()).review('selfnodeclient', subject, never);
    expect(answer).to.deep.equal({ allowed: true, reason: 'RBAC: yes' });
    expect(fixture.server.seen[0]?.body)
      .to.have.property('spec')
      .that.deep.equals({
        groups: ['system:nodes'],
        extra: {},
        resourceAttributes: {
          group: 'certificates.k8s.io',
          resource: 'certificatesigningrequests',
          verb: 'create',
          subresource: 'selfnodeclient',
        },
      });
  });

  it('ask for a whole user with all that it was authenticated with', async () => {
    const user = { username: 'u', uid: 'x', groups: ['g'], extra: { key: ['v'] } };
    await accessReviews(fixture.transport()).review('nodeclient', user, never);
    expect(fixture.server.seen[0]?.body).to.have.property('spec').that.includes({ user: 'u', uid: 'x' });
  });

  for (const [row, body] of [
    ['no status', {}],
    ['a denial', { status: { allowed: false, denied: true } }],
    ['the text "true"', { status: { allowed: 'true' } }],
  ] as const) {
    it(`take ${row} for a no`, async () => {
      fixture.server.answer = json(201, body);
      const answer = await accessReviews(fixture.transport()).review('nodeclient', subject, never);
      expect(answer.allowed).to.equal(false);
    });
  }
});
