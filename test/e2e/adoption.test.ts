/** The way of README's "Adopting an existing cluster", step by step, beside a real kube-controller-manager. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { stringify } from 'yaml';
import {
  type CommandResult,
  configFor,
  runProgram,
  type Service,
  startService,
} from '../../scripts/servers/service.ts';
import { accountKubeconfig, applyManifests } from '../../scripts/servers/service-account.ts';
import { CSRS, csrBody, removeCsrs, seenCsrs, tokenClient, until } from '../support/crowd.ts';
import { buildCsrPem } from '../support/csr-builder.ts';
import { KubeletStandIn } from '../support/kubelet-stand-in.ts';
import { type ManagedCluster, requireManagedCluster } from '../support/managed-cluster.ts';

const NO_APPROVER = '*,-csrapproving';
const UNTIL = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z/, 'Z');

describe('adopting a cluster of kube-controller-manager', function () {
  this.timeout(180_000);
  const cluster = requireManagedCluster();
  let supervisor: ManagedCluster['supervisor'];
  let plane: ManagedCluster['plane'];
  let kubectl: ManagedCluster['kubectl'];
  let runManager: ManagedCluster['runManager'];
  let service: Service;
  let serviceKubeconfig: string;
  let started = 0;
  let bootstrapKubeconfig: string;
  const nodes: KubeletStandIn[] = [];

  const config = (changes: object): Record<string, unknown> => ({
    ...configFor({ controlPlane: plane }, { serving: { addressRanges: ['10.40.0.0/16'] } }),
    ...changes,
  });
  const runService = async (changes: object): Promise<void> => {
    await service?.stop();
    started += 1;
    const name = `service-${started}`;
    service = await startService(supervisor, { name, kubeconfig: serviceKubeconfig, config: config(changes) });
  };
  const machine = (name: string): KubeletStandIn =>
    new KubeletStandIn({
      name,
      ips: [`10.40.0.${nodes.length + 1}`],
      bootstrapKubeconfig,
      dir: supervisor.folder(name),
    });
  const joinCluster = async (name: string): Promise<void> => {
    const node = machine(name);
    nodes.push(node);
    await node.bootstrap();
    await node.register();
  };
  const renewAll = async (): Promise<void> => {
    for (const node of nodes) await node.renew();
  };
  /** Reason of the approval of each node's newest CSR. */
  const approvals = async (): Promise<(string | undefined)[]> => {
    const csrs = await seenCsrs(plane);
    return nodes.map(({ csrs: own }) => {
      const csr = csrs.find(({ metadata }) => metadata.name === own.at(-1));
      return csr?.status.conditions?.find(({ type }) => type === 'Approved')?.reason;
    });
  };
  const program = (...args: string[]): Promise<CommandResult> =>
    runProgram('kubelet-bootstrap', args, { KUBECONFIG: plane.adminKubeconfig });
  const doctor = async (): Promise<{ code: string; severity: string; found: string }[]> => {
    const { stdout } = await program('doctor', '--config', service.configFile, '-o', 'json');
    return (JSON.parse(stdout) as { findings: { code: string; severity: string; found: string }[] }).findings;
  };
  const fileOf = (name: string, changes: object): string => {
    const file = join(supervisor.folder('configs'), `${name}.yaml`);
    writeFileSync(file, stringify(config(changes)));
    return file;
  };

  before('nodes as kubeadm joins them', async () => {
    ({ supervisor, plane, kubectl, runManager } = cluster());
    await applyManifests(kubectl);
    serviceKubeconfig = await accountKubeconfig(plane, kubectl, 'service-account');
    const token = await tokenClient(plane, undefined);
    await token.client.close();
    ({ kubeconfig: bootstrapKubeconfig } = token);
    for (const name of ['old-1', 'old-2', 'old-3']) await joinCluster(name);
  });
  after('end the nodes', () => Promise.all(nodes.map((node) => node.close())));

  it('1. observe: every renewal goes on as before, is judged, and the node is on record afterwards', async () => {
    await runService({ mode: 'observe' });
    await renewAll();
    expect(await approvals()).to.deep.equal(nodes.map(() => 'AutoApproved'));
    await until('every renewal was judged', () =>
      Promise.resolve(
        nodes.every(({ csrs }) =>
          service
            .lines()
            .some(
              ({ csr, message, reason }) =>
                csr === csrs.at(-1) && /would/.test(message) && reason === 'RenewalApproved',
            ),
        ),
      ),
    );
    const told = await doctor();
    expect(told.filter(({ severity }) => severity !== 'info')).to.deep.equal([]);
    expect(told.map(({ code }) => code)).to.include('OthersInForce');
    await until('every node is on record', async () => {
      const { stdout } = await program('node', 'list', '-o', 'json', '--config', service.configFile);
      return nodes.every(({ name }) => stdout.includes(`"${name}"`));
    });
  });

  it('2. simulate: tells that the token of kubeadm would not do, and nothing else', async () => {
    const dir = supervisor.folder('recorded');
    writeFileSync(join(dir, 'csrs.yaml'), await kubectl('get', 'csr', '-o', 'yaml'));
    const simulate = (file: string): Promise<CommandResult> => program('simulate', '--config', file, '-f', dir);
    const strict = await simulate(fileOf('enforce', {}));
    expect(strict.stdout.match(/ approve +wait TokenNotBound /g)).to.have.length(nodes.length);
    expect(strict.stderr).to.equal('3 of 6 CSRs would be decided otherwise\n');
    const lenient = await simulate(fileOf('unbound', { approver: { unboundTokensUntil: UNTIL } }));
    expect(lenient).to.deep.include({ code: 0, stdout: '' });
  });

  it('3. approve-only, and no approver in kube-controller-manager: nodes renew and join, signed by it', async () => {
    await runService({ mode: 'approve-only', approver: { unboundTokensUntil: UNTIL } });
    await runManager(NO_APPROVER, 'all');
    await renewAll();
    expect(await approvals()).to.deep.equal(nodes.map(() => 'RenewalApproved'));
    await joinCluster('new-4');
    expect(service.log()).not.to.contain('certificate issued');
  });

  it('4. enforce, and no signer of kubelets in kube-controller-manager: nodes renew and join, signed here', async () => {
    await runService({ approver: { unboundTokensUntil: UNTIL } });
    await runManager(NO_APPROVER, 'allButKubelets');
    await renewAll();
    await joinCluster('new-5');
    for (const node of nodes) await node.requestServing();
    const issued = service.lines().filter(({ message }) => message === 'certificate issued');
    expect(issued.map(({ csr }) => csr)).to.include.members(nodes.map(({ csrs }) => csrs.at(-1)));
  });

  it('still leaves every other signer to kube-controller-manager', async () => {
    const body = csrBody('not-a-kubelet', buildCsrPem({ commonName: 'somebody', organization: 'some-group' }), {
      signerName: 'kubernetes.io/kube-apiserver-client',
    });
    const csr = (await plane.admin.must('POST', CSRS, body)) as object;
    const conditions = [{ type: 'Approved', status: 'True', reason: 'ByAnAdmin', message: '' }];
    await plane.admin.must('PUT', `${CSRS}/not-a-kubelet/approval`, { ...csr, status: { conditions } });
    await until('it is signed', async () => {
      const [seen] = await seenCsrs(plane, 'not-a-kubelet');
      return (seen?.status.certificate ?? '') !== '';
    });
  });

  it('5. unbound tokens end: nodes renew, and the token of kubeadm joins nobody any more', async () => {
    await runService({ approver: { unboundTokensUntil: '2020-01-01T00:00:00Z' } });
    await renewAll();
    const late = machine('late-6');
    const name = await late.submit('system:node:late-6');
    await late.close();
    await until('it waits', () =>
      Promise.resolve(service.lines().some(({ csr, reason }) => csr === name && reason === 'TokenNotBound')),
    );
  });

  it('6. strict: nodes renew what is on record, and doctor has nothing to tell any more', async () => {
    await runService({ approver: { credentials: 'strict' } });
    await removeCsrs(plane, 'csr-'); // of the time before, as the cleaner does after an hour
    await renewAll();
    expect((await doctor()).filter(({ severity }) => severity !== 'info')).to.deep.equal([]);
  });
});
