import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { etcdClient, removeAll, store } from '../../scripts/bench/etcd.ts';
import type { HttpsClient } from '../../scripts/servers/https-client.ts';
import { STORED } from '../../scripts/bench/following.ts';
import { issuedCsrs } from '../../scripts/bench/surroundings.ts';
import { readCsr } from '../../src/kubernetes/csrs.ts';
import { CLIENT_SIGNER } from '../../src/ports.ts';
import { CSRS, until } from '../support/crowd.ts';
import { requireControlPlane } from '../support/servers.ts';

const HOUR = 3_600_000;

describe('what the bench puts into etcd', function () {
  this.timeout(60_000);
  const plane = requireControlPlane();
  let etcd: HttpsClient;
  before(() => {
    etcd = etcdClient(plane());
  });
  after(async () => {
    await removeAll(etcd, `certificatesigningrequests/${STORED}`);
    await etcd.close();
  });

  it('is read by the API server as CSRs that it issued itself', async () => {
    const { ca, admin } = plane();
    await store(etcd, issuedCsrs(ca, 2, HOUR));
    const path = `${CSRS}/${STORED}1`;
    await until('it is there', async () => (await admin.send('GET', path)).status === 200);
    const csr = readCsr(await admin.must('GET', path));
    expect(csr.requester).to.deep.equal({
      username: 'system:node:old-1',
      uid: '',
      groups: ['system:nodes', 'system:authenticated'],
      extra: {},
    });
    expect(csr).to.deep.include({
      name: `${STORED}1`,
      signerName: CLIENT_SIGNER,
      usages: ['digital signature', 'client auth'],
      issued: true,
    });
    expect(csr.conditions.map(({ type, status, reason, message }) => [type, status, reason, message])).to.deep.equal([
      ['Approved', 'True', 'AutoApproved', 'auto-approved'],
    ]);
    const [condition] = csr.conditions;
    expect([condition?.lastUpdateTime, condition?.lastTransitionTime]).to.deep.equal([csr.createdAt, csr.createdAt]);
    expect(Date.now() - csr.createdAt).to.be.within(HOUR, 3 * HOUR);
    expect(csr.certificate?.commonName).to.equal('system:node:old-1');
    expect(csr.uid).to.match(/^[0-9a-f-]{36}$/);
  });
});
