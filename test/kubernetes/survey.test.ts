import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RemoteError } from '../../src/errors.ts';
import { readClientCas, readControllerManager, readRbac, whoAmI } from '../../src/kubernetes/survey.ts';
import { failureOf } from '../controllers/world.ts';
import { type Answer, json, status } from '../support/fault-apiserver.ts';
import { never, TransportFixture } from './fixture.ts';

const AT = '2027-01-31T12:00:00Z';
const meta = (name: string, namespace?: string): object => ({
  name,
  uid: `uid-${name}`,
  resourceVersion: '1',
  creationTimestamp: AT,
  ...(namespace === undefined ? {} : { namespace }),
});
const list = (...items: object[]): object => ({ metadata: { resourceVersion: '9' }, items });

/** Answers by the end of the path, 404 for any other. */
const byPath =
  (answers: Readonly<Record<string, Answer>>): Answer =>
  (request, response) => {
    const found = Object.entries(answers).find(([end]) => request.path.endsWith(end));
    (found?.[1] ?? status(404, 'NotFound', 'not there'))(request, response);
  };

describe('kubernetes/survey', () => {
  const fixture = new TransportFixture();

  it('reads roles and bindings, whatever is left out of them', async () => {
    const rule = { apiGroups: [''], resources: ['pods'], verbs: ['get'], nonResourceURLs: ['/x'] };
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };
    fixture.server.answer = byPath({
      '/clusterroles': json(200, list({ metadata: meta('view'), rules: [rule] }, { metadata: meta('aggregate') })),
      '/roles': json(200, list({ metadata: meta('own', 'team'), rules: null })),
      '/clusterrolebindings': json(200, list({ metadata: meta('nobody'), roleRef })),
      '/rolebindings': json(
        200,
        list({
          metadata: meta('view', 'team'),
          roleRef,
          subjects: [
            { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'devs' },
            { kind: 'ServiceAccount', name: 'ci', namespace: 'build' },
          ],
        }),
      ),
    });
    const role = { roleKind: 'ClusterRole', roleName: 'view' };
    expect(await readRbac(fixture.transport({ connections: 4 }), never)).to.deep.equal({
      roles: [
        {
          name: 'view',
          namespace: '',
          rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'], resourceNames: [] }],
        },
        { name: 'aggregate', namespace: '', rules: [] },
        { name: 'own', namespace: 'team', rules: [] },
      ],
      bindings: [
        { name: 'nobody', namespace: '', ...role, subjects: [] },
        {
          name: 'view',
          namespace: 'team',
          ...role,
          subjects: [
            { kind: 'Group', name: 'devs', namespace: '' },
            { kind: 'ServiceAccount', name: 'ci', namespace: 'build' },
          ],
        },
      ],
    });
  });

  it('reads lease and command lines of kube-controller-manager, and that there are none', async () => {
    const command = ['kube-controller-manager', '--controllers=*'];
    const pods: Answer = (request, response) => {
      const kubeadm = request.query.get('labelSelector') === 'component=kube-controller-manager';
      const pod = { metadata: meta('kcm'), spec: { containers: [{ command, args: ['-v=2'] }, {}] } };
      json(200, kubeadm ? list(pod, { metadata: meta('empty') }) : list())(request, response);
    };
    fixture.server.answer = byPath({
      '/leases/kube-controller-manager': json(200, { spec: { renewTime: '2027-01-31T12:00:00.123456Z' } }),
      '/namespaces/kube-system/pods': pods,
    });
    expect(await readControllerManager(fixture.transport(), never)).to.deep.equal({
      renewedAt: Date.parse('2027-01-31T12:00:00.123Z'),
      commands: [[...command, '-v=2']],
    });
    fixture.server.answer = byPath({ '/pods': json(200, list()) });
    expect(await readControllerManager(fixture.transport(), never)).to.deep.equal({
      renewedAt: undefined,
      commands: [],
    });
  });

  it('throws what keeps it from reading the lease', async () => {
    fixture.server.answer = byPath({ '/pods': json(200, list()), '/kube-controller-manager': status(403, '', 'no') });
    expect(await failureOf(readControllerManager(fixture.transport(), never))).to.include({ code: 'Forbidden' });
  });

  it('reads the CAs of clients; none where the API server trusts none', async () => {
    const map = (data?: object): Answer => json(200, { metadata: meta('extension-apiserver-authentication'), data });
    fixture.server.answer = map({ 'client-ca-file': 'PEM', 'requestheader-client-ca-file': 'other' });
    expect(await readClientCas(fixture.transport(), never)).to.equal('PEM');
    fixture.server.answer = map();
    expect(await readClientCas(fixture.transport(), never)).to.equal('');
    fixture.server.answer = status(404, 'NotFound', 'not there');
    expect(await failureOf(readClientCas(fixture.transport(), never))).to.be.instanceOf(RemoteError);
  });

  it('asks who it is', async () => {
    fixture.server.answer = json(201, { status: { userInfo: { username: 'jane', groups: ['x'] } } });
    expect(await whoAmI(fixture.transport(), never)).to.deep.equal({ username: 'jane', groups: ['x'] });
    expect(fixture.server.seen[0]).to.include({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    });
  });
});
