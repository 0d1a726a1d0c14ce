import type { HttpsClient } from './https-client.ts';

export const CLUSTER_ROLE_BINDINGS = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';

/** The bindings that TLS bootstrap needs, one flag each, so that a test can leave one out. All true when absent. */
export interface BootstrapBindings {
  /** `system:bootstrappers` may create and read CSRs. */
  readonly create?: boolean;
  /** `system:bootstrappers` may have its client certificates approved. */
  readonly nodeclient?: boolean;
  /** `system:nodes` may have its renewals approved. */
  readonly selfnodeclient?: boolean;
}

/** Name, ClusterRole and group of each binding, with the names kubeadm gives them (its `phases/bootstraptoken/node`). */
export const BOOTSTRAP_BINDINGS = {
  create: ['kubeadm:kubelet-bootstrap', 'system:node-bootstrapper', 'system:bootstrappers'],
  nodeclient: [
    'kubeadm:node-autoapprove-bootstrap',
    'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
    'system:bootstrappers',
  ],
  selfnodeclient: [
    'kubeadm:node-autoapprove-certificate-rotation',
    'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    'system:nodes',
  ],
} as const;

/** Creates the bindings that are not switched off; those that are there stay as they are. */
export async function bindBootstrap(admin: HttpsClient, bindings: BootstrapBindings): Promise<void> {
  for (const key of ['create', 'nodeclient', 'selfnodeclient'] as const) {
    if (bindings[key] === false) continue;
    const [name, role, group] = BOOTSTRAP_BINDINGS[key];
    const binding = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: group }],
    };
    await admin.must('POST', CLUSTER_ROLE_BINDINGS, binding, [409]);
  }
}
