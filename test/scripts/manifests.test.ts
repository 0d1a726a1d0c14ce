import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { readConfig } from '../../src/config.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from '../../src/ports.ts';

const BASE = join(import.meta.dirname, '../../manifests/base');
const EXAMPLE = join(BASE, '../overlays/example');
const CONFIG_DIR = '/etc/kubelet-bootstrap/config';
const LABELS = { 'app.kubernetes.io/name': 'kubelet-bootstrap' };

interface Kustomization {
  readonly resources: readonly string[];
  readonly configMapGenerator: readonly { readonly name: string; readonly files: readonly string[] }[];
  readonly images?: readonly { readonly name: string }[];
  readonly patches?: readonly { readonly path: string }[];
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
  readonly timeoutSeconds?: number;
}

interface PodSpec {
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken: boolean;
  readonly hostNetwork?: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: object;
  readonly tolerations: readonly { readonly key: string }[];
  readonly containers: readonly {
    readonly image: string;
    readonly args: readonly string[];
    readonly env: readonly { readonly name: string; readonly value: string }[];
    readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
    readonly resources: { readonly requests: Record<string, string>; readonly limits: Record<string, string> };
    readonly securityContext: object;
    readonly startupProbe: Probe;
    readonly livenessProbe: Probe;
    readonly readinessProbe: Probe;
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly: boolean }[];
  }[];
  readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[];
}

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels: object };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[];
  readonly spec?: Record<string, unknown>;
}

const kustomization = (dir: string): Kustomization =>
  parse(readFileSync(join(dir, 'kustomization.yaml'), 'utf8')) as Kustomization;
const config = (dir: string): ReturnType<typeof readConfig> =>
  readConfig('config.yaml', readFileSync(join(dir, 'config.yaml'), 'utf8'));

describe('manifests/base', () => {
  const manifests = kustomization(BASE).resources.flatMap((file) =>
    parseAllDocuments(readFileSync(join(BASE, file), 'utf8')).map((document) => {
      expect(document.errors, file).to.deep.equal([]);
      return document.toJS() as Manifest;
    }),
  );
  const one = (kind: string, name = 'kubelet-bootstrap'): Manifest => {
    const [found, ...more] = manifests.filter((each) => each.kind === kind && each.metadata.name === name);
    if (found === undefined || more.length > 0) throw new Error(`not one ${kind} ${name}`);
    return found;
  };
  const template = (): { readonly metadata: { readonly labels: object }; readonly spec: PodSpec } =>
    one('Deployment').spec?.['template'] as { metadata: { labels: object }; spec: PodSpec };
  const container = (): PodSpec['containers'][number] => {
    const [only, ...more] = template().spec.containers;
    if (only === undefined || more.length > 0) throw new Error('not one container');
    return only;
  };
  const port = (): number => Number(config(BASE).ops.listen.split(':').at(-1));

  it('lists every file that lies in it', () => {
    const { resources, configMapGenerator } = kustomization(BASE);
    const named = [...resources, ...configMapGenerator.flatMap(({ files }) => files), 'kustomization.yaml'];
    expect(named).to.have.members(readdirSync(BASE));
  });

  it('carries one label everywhere, and Deployment, Service and NetworkPolicy select by it', () => {
    for (const { kind, metadata } of manifests) expect(metadata.labels, kind).to.deep.equal(LABELS);
    expect(template().metadata.labels).to.deep.equal(LABELS);
    expect(one('Deployment').spec?.['selector']).to.deep.equal({ matchLabels: LABELS });
    expect(one('Service').spec?.['selector']).to.deep.equal(LABELS);
    expect(one('NetworkPolicy').spec?.['podSelector']).to.deep.equal({ matchLabels: LABELS });
  });

  it('gives exactly these rights in the whole cluster', () => {
    expect(one('ClusterRole').rules).to.deep.equal([
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['certificatesigningrequests'],
        verbs: ['get', 'list', 'watch', 'delete'],
      },
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['certificatesigningrequests/approval', 'certificatesigningrequests/status'],
        verbs: ['update'],
      },
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['signers'],
        resourceNames: [CLIENT_SIGNER, SERVING_SIGNER],
        verbs: ['approve', 'sign'],
      },
      { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
      { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] },
      { apiGroups: ['networking.k8s.io'], resources: ['servicecidrs'], verbs: ['list'] },
      {
        apiGroups: ['admissionregistration.k8s.io'],
        resources: ['validatingwebhookconfigurations', 'mutatingwebhookconfigurations'],
        verbs: ['list'],
      },
      { apiGroups: ['apiextensions.k8s.io'], resources: ['customresourcedefinitions'], verbs: ['list'] },
      { apiGroups: ['apiregistration.k8s.io'], resources: ['apiservices'], verbs: ['list'] },
    ]);
  });

  it('gives exactly the Secrets and client CAs of kube-system, Events, its own ConfigMaps and the Leases of nodes besides, and no other role', () => {
    expect(manifests.filter(({ rules }) => rules !== undefined)).to.have.length(6);
    expect(one('Role')).to.deep.include({
      metadata: { name: 'kubelet-bootstrap', namespace: 'kube-system', labels: LABELS },
      rules: [
        { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
        {
          apiGroups: [''],
          resources: ['configmaps'],
          resourceNames: ['extension-apiserver-authentication'],
          verbs: ['get'],
        },
      ],
    });
    expect(one('Role', 'kubelet-bootstrap-events')).to.deep.include({
      metadata: { name: 'kubelet-bootstrap-events', namespace: 'default', labels: LABELS },
      rules: [{ apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create'] }],
    });
    expect(one('Role', 'kubelet-bootstrap-endpoints')).to.deep.include({
      metadata: { name: 'kubelet-bootstrap-endpoints', namespace: 'default', labels: LABELS },
      rules: [{ apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list'] }],
    });
    expect(one('Role', 'kubelet-bootstrap-state')).to.deep.include({
      metadata: { name: 'kubelet-bootstrap-state', namespace: 'kubelet-bootstrap', labels: LABELS },
      rules: [
        { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'] },
      ],
    });
    expect(one('Role', 'kubelet-bootstrap-leases')).to.deep.include({
      metadata: { name: 'kubelet-bootstrap-leases', namespace: 'kube-node-lease', labels: LABELS },
      rules: [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get'] }],
    });
  });

  it("binds the roles to the service's account alone, and the nodes' three roles to their groups", () => {
    const bindings = manifests.filter(({ roleRef }) => roleRef !== undefined);
    const rows = bindings.map(({ kind, metadata: { namespace = '' }, roleRef, subjects }) => [
      kind,
      namespace,
      roleRef?.kind,
      roleRef?.name,
      subjects?.map((subject) => [subject.kind, subject.namespace ?? '', subject.name].join(' ')).join(', '),
    ]);
    const account = 'ServiceAccount kube-system kubelet-bootstrap';
    const csrs = 'system:certificates.k8s.io:certificatesigningrequests';
    expect(rows).to.deep.equal([
      ['ClusterRoleBinding', '', 'ClusterRole', 'kubelet-bootstrap', account],
      ['RoleBinding', 'kube-system', 'Role', 'kubelet-bootstrap', account],
      ['RoleBinding', 'default', 'Role', 'kubelet-bootstrap-endpoints', account],
      ['RoleBinding', 'default', 'Role', 'kubelet-bootstrap-events', account],
      ['RoleBinding', 'kubelet-bootstrap', 'Role', 'kubelet-bootstrap-state', account],
      ['RoleBinding', 'kube-node-lease', 'Role', 'kubelet-bootstrap-leases', account],
      ['ClusterRoleBinding', '', 'ClusterRole', 'system:node-bootstrapper', 'Group  system:bootstrappers'],
      ['ClusterRoleBinding', '', 'ClusterRole', `${csrs}:nodeclient`, 'Group  system:bootstrappers'],
      ['ClusterRoleBinding', '', 'ClusterRole', `${csrs}:selfnodeclient`, 'Group  system:nodes'],
    ]);
    expect(one('ServiceAccount').metadata.namespace).to.equal('kube-system');
  });

  it('runs one hardened pod at a time, also where no node is ready', () => {
    expect(one('Deployment').spec).to.deep.include({ replicas: 1, strategy: { type: 'Recreate' } });
    const { spec } = template();
    expect(spec.securityContext).to.deep.equal({
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container().securityContext).to.deep.equal({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(spec).to.include({ priorityClassName: 'system-cluster-critical', serviceAccountName: 'kubelet-bootstrap' });
    expect(spec).not.to.have.any.keys('hostNetwork', 'hostPID', 'hostIPC');
    expect(spec.tolerations.map(({ key }) => key)).to.include.members([
      'node-role.kubernetes.io/control-plane',
      'node.kubernetes.io/not-ready',
    ]);
    expect(container().resources).to.deep.include({
      requests: { cpu: '100m', memory: '128Mi' },
      limits: { memory: '512Mi' },
    });
    const heap = /^--max-old-space-size=(\d+) --max-semi-space-size=8$/.exec(
      container().env.find(({ name }) => name === 'NODE_OPTIONS')?.value ?? '',
    );
    expect(Number(heap?.[1])).to.be.within(256, 384);
    expect(container().env.find(({ name }) => name === 'MALLOC_ARENA_MAX')?.value).to.equal('1');
  });

  it('mounts its config, the two tokens and the CA of Vault where the config looks for them, read-only', () => {
    const { spec } = template();
    expect(spec.automountServiceAccountToken).to.equal(false);
    const { volumeMounts } = container();
    expect(volumeMounts.map(({ name }) => name)).to.have.members(spec.volumes.map(({ name }) => name));
    for (const { name, readOnly } of volumeMounts) expect(readOnly, name).to.equal(true);
    const { vault } = config(BASE);
    const files = [
      `${CONFIG_DIR}/config.yaml`,
      '/var/run/secrets/kubernetes.io/serviceaccount/token',
      vault?.caFile ?? '',
      vault?.auth.method === 'kubernetes' ? vault.auth.jwtFile : '',
    ];
    expect(container().args).to.deep.equal(['run', `--config=${files[0]}`]);
    expect(volumeMounts.map(({ mountPath }) => mountPath)).to.have.members(
      files.map((file) => file.slice(0, file.lastIndexOf('/'))),
    );
    const generated = kustomization(BASE).configMapGenerator.map(({ name }) => name);
    expect(spec.volumes.find(({ name }) => name === 'config')?.configMap?.name).to.be.oneOf(generated);
  });

  it('probes, publishes and lets in the port of ops.listen, which is open to the pod network', () => {
    expect(config(BASE).ops.listen).to.match(/^0\.0\.0\.0:/);
    expect(container().ports).to.deep.equal([{ name: 'http-metrics', containerPort: port() }]);
    const { startupProbe, livenessProbe, readinessProbe } = container();
    expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet)).to.deep.equal([
      { path: '/livez', port: 'http-metrics' },
      { path: '/livez', port: 'http-metrics' },
      { path: '/readyz', port: 'http-metrics' },
    ]);
    expect(one('Service').spec).to.deep.include({
      type: 'ClusterIP',
      ports: [{ name: 'http-metrics', port: port(), targetPort: 'http-metrics' }],
    });
    expect(one('NetworkPolicy').spec?.['ingress']).to.deep.equal([{ ports: [{ port: port(), protocol: 'TCP' }] }]);
  });

  it('lets out to DNS, the API server and Vault alone', () => {
    const egress = one('NetworkPolicy').spec?.['egress'] as { ports: { port: number; protocol: string }[] }[];
    const ports = egress.flatMap(({ ports }) => ports.map(({ port, protocol }) => `${port}/${protocol}`));
    expect(ports).to.deep.equal(['53/UDP', '53/TCP', '443/TCP', '6443/TCP', '8200/TCP']);
    expect(new URL(config(BASE).vault?.address ?? '').port).to.equal('8200');
    expect(new URL(config(BASE).cluster.server).port).to.equal('6443');
    expect(one('NetworkPolicy').spec?.['policyTypes']).to.deep.equal(['Ingress', 'Egress']);
  });

  it('gives the work in hand its time after SIGTERM, and the readiness checks theirs', () => {
    expect(template().spec.terminationGracePeriodSeconds * 1000).to.be.greaterThan(config(BASE).ops.shutdown);
    expect(container().readinessProbe.timeoutSeconds).to.be.greaterThan(5);
  });

  it('has a config that is whole: Vault with Kubernetes auth, the CA in Vault, a pool, serving ranges', () => {
    const { controllers, vault, signer, pools, serving } = config(BASE);
    expect(controllers).to.have.length(4);
    expect(vault?.auth.method).to.equal('kubernetes');
    expect(Object.keys(pools)).to.deep.equal(['workers']);
    expect(serving.addressRanges).not.to.equal(undefined);
    const policy = readFileSync(join(BASE, '../vault/service.hcl'), 'utf8');
    expect(policy).to.contain(`path "${vault?.mount}/data/${signer.ca.vaultPath}"`);
    expect(policy).to.contain(`path "${vault?.mount}/data/${vault?.prefix}/*"`);
  });
});

describe('manifests/overlays/example', () => {
  it('changes what is there in the base, with a config that is whole', () => {
    const { resources, images, patches, configMapGenerator } = kustomization(EXAMPLE);
    expect(resources).to.deep.equal(['../../base']);
    const deployment = readFileSync(join(BASE, '40-deployment.yaml'), 'utf8');
    expect(deployment).to.contain(`image: ${images?.[0]?.name}:`);
    for (const { name } of configMapGenerator) expect(deployment).to.contain(`name: ${name}\n`);
    const files = configMapGenerator.flatMap(({ files }) => files.map((file) => file.split('=').at(-1)));
    const named = [...files, ...(patches ?? []).map(({ path }) => path), 'kustomization.yaml'];
    expect(named).to.have.members(readdirSync(EXAMPLE));
    expect(config(EXAMPLE).ops.listen).to.equal(config(BASE).ops.listen);
    expect(config(EXAMPLE).ops.shutdown).to.equal(config(BASE).ops.shutdown);
  });
});
