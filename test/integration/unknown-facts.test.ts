import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { banChange, shardOf } from '../../src/nodes/record-format.ts';
import { banNode } from '../attacks/ban.ts';
import { Scene, SERVING } from '../attacks/scene.ts';
import { removeCsrs, until } from '../support/crowd.ts';
import { accountWithout } from '../support/limited-account.ts';
import { requireService } from '../support/running-service.ts';

const STATE = '/api/v1/namespaces/kubelet-bootstrap/configmaps';

describe('facts that cannot be read, on the real API server', function () {
  this.timeout(120_000);
  const running = requireService(
    { approver: { onViolation: 'deny' }, serving: { inventory: { configMap: 'nowhere' } } },
    false,
  );
  const scene = new Scene(running);
  after(async () => {
    await removeCsrs(running().controlPlane, 'attack-');
    const path = `${STATE}/${shardOf('unsure-2')}`;
    await scene.admin.send('PATCH', path, { data: banChange('unsure-2', undefined) });
  });

  before(async () => {
    const { controlPlane } = running();
    await running().start({}, true, [], await accountWithout(controlPlane, 'leases', 'subjectaccessreviews'));
    await scene.register('unsure-1');
    await banNode(scene.admin, 'unsure-2');
    const map = (await scene.admin.must('GET', `${STATE}/${shardOf('unsure-2')}`)) as { data: Record<string, string> };
    const [key = ''] = Object.keys(banChange('unsure-2', undefined));
    const data = { ...map.data, [key]: 'banned, I think' };
    await scene.admin.must('PUT', `${STATE}/${shardOf('unsure-2')}`, { ...map, data });
  });

  /** What the service says of it, which has to be that it waits. */
  async function waits(name: string): Promise<string> {
    const line = await until(`${name} is decided on`, () =>
      Promise.resolve(
        running()
          .service()
          .log()
          .split('\n')
          .find((each) => each.includes(`"csr":"${name}"`) && each.includes('FactUnavailable')),
      ),
    );
    expect(JSON.parse(line)).to.include({ verdict: 'wait' });
    expect(await scene.isUntouched(name)).to.equal(true);
    return line;
  }
  const firstOf = async (node: string, organization = 'system:nodes'): Promise<string> =>
    scene.ask(await scene.holder({ kind: 'node', node }), node, { parts: { organization } });

  it('the Lease and the access review: the first certificate waits, and both are named', async () => {
    expect(await waits(await firstOf('unsure-1')))
      .to.include('the Lease of unsure-1: ')
      .and.include('access review: ');
  });

  it('nor is one denied meanwhile that is wrong besides', async () => {
    expect(await waits(await firstOf('unsure-1', 'system:masters'))).to.include('OrganizationNotSystemNodes');
  });

  it('the record of a node: its renewal waits, and the part that is unreadable is named', async () => {
    await scene.register('unsure-2');
    const client = await scene.node('unsure-2');
    const line = await until('the service knows of it', async () => {
      const said = await waits(await scene.ask(client, 'unsure-2'));
      return said.includes('the record of unsure-2') ? said : undefined;
    });
    expect(line).to.include('the record of unsure-2 (_b) is unreadable');
  });

  it('the inventory: the serving certificate waits, also for a name alone', async () => {
    const client = await scene.node('unsure-1');
    const name = await scene.ask(client, 'unsure-1', { ...SERVING, parts: { dns: ['unsure-1'] } });
    expect(await waits(name))
      .to.include('the inventory: ')
      .and.include('nowhere');
  });
});
