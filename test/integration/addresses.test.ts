import { writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { HttpsClient } from '../../scripts/servers/https-client.ts';
import { readKubeconfig } from '../../scripts/servers/kubeconfig.ts';
import type { Service } from '../../scripts/servers/service.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { ADDRESSES } from '../../src/tokens/token-secret.ts';
import { csrBody, CSRS, removeCsrs, seenCsrs, SERVING, tokenClient, until } from '../support/crowd.ts';
import { nodesAreKnown, requireService } from '../support/running-service.ts';

const NODES = '/api/v1/nodes';
const TOKENS = '/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken';

describe('whose an address is, on the real API server', function () {
  this.timeout(120_000);
  const running = requireService({}, false);
  after(() => removeCsrs(running().controlPlane, 'ad-'));
  let service: Service;
  let inventory = '';
  let count = 0;

  async function ask(node: string, ...ips: string[]): Promise<string> {
    count += 1;
    const name = `ad-${count}`;
    const client = new HttpsClient(readKubeconfig(await running().controlPlane.nodeKubeconfig(node)));
    const request = buildCsrPem({ commonName: `system:node:${node}`, dns: [node], ips });
    await client.must('POST', CSRS, csrBody(name, request, SERVING));
    await client.close();
    return name;
  }
  const decided = (name: string): Promise<string> =>
    until(`${name} is decided on`, () =>
      Promise.resolve(service.lines().find((line) => line.csr === name && line.verdict !== undefined)?.reason),
    );
  const issued = (name: string): Promise<true> =>
    until(`${name} is issued`, async () => {
      const [csr] = await seenCsrs(running().controlPlane, name);
      return (csr?.status.certificate ?? '') !== '';
    });

  before(async () => {
    inventory = `${running().supervisor.folder('inventory')}/inventory.yaml`;
    writeFileSync(inventory, 'listed-1: [10.41.0.1]\nlisted-2: [10.41.0.2, other.example.org]\n');
    service = await running().start({
      serving: { addressRanges: ['10.0.0.0/8'], inventory: { file: inventory }, serviceRanges: ['10.200.0.0/16'] },
    });
    for (const name of ['listed-1', 'listed-2', 'ranged-1', 'ranged-2']) {
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name } };
      await running().controlPlane.admin.must('POST', NODES, node);
    }
    await nodesAreKnown(running());
  });

  for (const [sentence, node, ip, reason] of [
    ['its own from the inventory', 'listed-1', '10.41.0.1', 'ServingApproved'],
    ['another in range, where the inventory knows it', 'listed-1', '10.41.0.9', 'IpAddressNotVouched'],
    ["another node's from the inventory", 'listed-1', '10.41.0.2', 'AddressOfOtherNode'],
    ["another node's from the inventory, where it is in range", 'ranged-1', '10.41.0.2', 'AddressOfOtherNode'],
    ['one in range, where the inventory does not know it', 'ranged-1', '10.30.0.1', 'ServingApproved'],
    ['one that another node has by its serving certificate', 'ranged-2', '10.30.0.1', 'AddressOfOtherNode'],
    ['one of a Service of the cluster', 'ranged-2', '10.96.0.1', 'AddressReserved'],
    ['one of a configured range of Services', 'ranged-2', '10.200.0.1', 'AddressReserved'],
    ['a link-local one', 'ranged-2', '169.254.169.254', 'AddressReserved'],
    ['one out of range', 'ranged-2', '192.0.2.1', 'IpAddressOutOfRange'],
    ['its own', 'ranged-2', '10.30.0.2', 'ServingApproved'],
  ] as const) {
    it(`${node} asks for ${sentence}: ${reason}`, async () => {
      const name = await ask(node, ip);
      expect(await decided(name)).to.equal(reason);
      if (reason === 'ServingApproved') await issued(name);
    });
  }

  it("one that was given to another node with its token is that one's before it has joined: AddressOfOtherNode", async () => {
    const { controlPlane } = running();
    const given = { [ADDRESSES]: '10.30.0.50' };
    const { client } = await tokenClient(controlPlane, { kind: 'node', node: 'given-1' }, 3_600_000, given);
    await until('the service knows of the token', async () => {
      const { items } = (await controlPlane.admin.must('GET', TOKENS)) as { items: unknown[] };
      return (await service.metric('kubelet_bootstrap_informer_objects', { informer: 'tokens' })) === items.length;
    });
    expect(await decided(await ask('ranged-2', '10.30.0.50'))).to.equal('AddressOfOtherNode');
    const first = csrBody('ad-given', buildCsrPem({ commonName: 'system:node:given-1' }));
    await client.must('POST', CSRS, first);
    await issued('ad-given');
    expect(await decided(await ask('given-1', '10.30.0.51'))).to.equal('IpAddressNotVouched');
    await issued(await ask('given-1', '10.30.0.50'));
  });

  it('an address is free again when the node that had it is removed', async () => {
    await running().controlPlane.admin.must('DELETE', `${NODES}/ranged-1`);
    await issued(await ask('ranged-2', '10.30.0.1'));
  });

  it('a wrong inventory leaves the last good one in force and is told of, a mended one is taken', async () => {
    writeFileSync(inventory, 'listed-1: 10.41.0.1\n');
    await until('the log says so', () => Promise.resolve(service.log().includes('listed-1: must be a list')));
    expect(await decided(await ask('listed-2', '10.41.0.2'))).to.equal('ServingApproved');
    writeFileSync(inventory, 'listed-1: [10.41.0.1]\nlisted-2: [10.41.0.22]\n');
    await until(
      'it is taken',
      async () => (await decided(await ask('listed-2', '10.41.0.22'))) === 'ServingApproved',
      1_000,
    );
  });
});
