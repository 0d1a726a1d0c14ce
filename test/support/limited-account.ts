/** An account for the service that may do all that it needs, but for approving: what it does before that stays as it is. */
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';

const NAME = 'kubelet-bootstrap-unable';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ACCOUNTS = '/api/v1/namespaces/kube-system/serviceaccounts';

/** Answers the path of its kubeconfig. */
export async function withoutApproving({ admin, tokenKubeconfig }: ControlPlane): Promise<string> {
  const metadata = { name: NAME };
  await admin.must('POST', ACCOUNTS, { metadata }, [409]);
  const all = { apiGroups: ['*'], verbs: ['*'] };
  const rules = [
    { ...all, resources: ['certificatesigningrequests', 'subjectaccessreviews', 'nodes', 'leases'] },
    { ...all, resources: ['secrets', 'configmaps', 'events', 'endpointslices', 'servicecidrs'] },
  ];
  await admin.must('POST', `${RBAC}/clusterroles`, { metadata, rules }, [409]);
  const binding = {
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: NAME },
    subjects: [{ kind: 'ServiceAccount', name: NAME, namespace: 'kube-system' }],
  };
  await admin.must('POST', `${RBAC}/clusterrolebindings`, binding, [409]);
  const { status } = (await admin.must('POST', `${ACCOUNTS}/${NAME}/token`, { spec: {} })) as {
    status: { token: string };
  };
  return tokenKubeconfig(NAME, status.token);
}
