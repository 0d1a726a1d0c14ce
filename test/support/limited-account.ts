/** An account for the service that may do all that it needs, but for what a test takes away. */
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ACCOUNTS = '/api/v1/namespaces/kube-system/serviceaccounts';
const RESOURCES = [
  'certificatesigningrequests',
  'certificatesigningrequests/approval',
  'certificatesigningrequests/status',
  'signers',
  'subjectaccessreviews',
  'nodes',
  'leases',
  'secrets',
  'configmaps',
  'events',
  'endpointslices',
  'servicecidrs',
];

/** Answers the path of a kubeconfig with every right but those to `missing`. */
export async function accountWithout({ admin, tokenKubeconfig }: ControlPlane, ...missing: string[]): Promise<string> {
  const name = `without-${missing.join('-').replaceAll(/[^a-z]/g, '-')}`;
  const metadata = { name };
  const resources = RESOURCES.filter((resource) => !missing.includes(resource));
  await admin.must('POST', ACCOUNTS, { metadata }, [409]);
  await admin.must('POST', `${RBAC}/clusterroles`, {
    metadata,
    rules: [{ apiGroups: ['*'], verbs: ['*'], resources }],
  });
  await admin.must('POST', `${RBAC}/clusterrolebindings`, {
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: 'kube-system' }],
  });
  const { status } = (await admin.must('POST', `${ACCOUNTS}/${name}/token`, { spec: {} })) as {
    status: { token: string };
  };
  return tokenKubeconfig(name, status.token);
}
