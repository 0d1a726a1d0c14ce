/** All checks over all that was observed. */
import { accessCell, checkAccess } from './access-matrix.ts';
import { checkAuthority, keyIdsOf } from './authority.ts';
import { checkClock } from './clock.ts';
import { checkConfig } from './config-breadth.ts';
import { CHECKS, type Finding, finding, type Severity, whenKnown } from './finding.ts';
import { checkNodeRecords } from './node-records.ts';
import type { ClusterView, Observations } from './observations.ts';
import { checkPrivileges } from './privileges.ts';
import { checkRivals } from './rivals.ts';
import { checkServiceRights } from './service-rights.ts';
import { checkVault } from './vault-rights.ts';

const RANK: Readonly<Record<Severity, number>> = { error: 0, warning: 1, info: 2 };

/** Every finding, worst first and otherwise in the order of the checks. */
export function examine(observed: Observations): readonly Finding[] {
  const { cluster, setUp, signingCa, vault, now } = observed;
  const findings = [
    ...(cluster.known ? checkCluster(observed, cluster.value) : [unusable(cluster.why)]),
    ...checkConfig(setUp, now),
    ...(signingCa === undefined
      ? []
      : checkAuthority({
          signingCa,
          clientCas: cluster.known ? cluster.value.clientCas : undefined,
          longestLifeMs: setUp.longestLifeMs,
          now,
        })),
    ...(vault === undefined ? [] : checkVault(vault)),
  ];
  const order = Object.keys(CHECKS);
  return joined(findings).toSorted(
    (a, b) => RANK[a.severity] - RANK[b.severity] || order.indexOf(a.check) - order.indexOf(b.check),
  );
}

function unusable(why: string): Finding {
  const mend = 'Reach it with a credential that it accepts; everything in the cluster is left unchecked.';
  return finding('ApiServerUnusable', 'API server', why, mend);
}

function checkCluster({ setUp, serviceUser, signingCa, now }: Observations, cluster: ClusterView): readonly Finding[] {
  const { approves, signs } = setUp;
  return [
    ...whenKnown('clock', "the API server's clock", cluster.clock, checkClock),
    ...checkAccess(cluster.access),
    ...checkServiceRights(serviceUser, cluster.rights),
    ...checkRivals({
      csrs: cluster.csrs,
      controllerManager: cluster.controllerManager,
      bindings: cluster.access.some((row) => accessCell(row, 'approval') !== 'no'),
      approves,
      signs,
      caKeyIds: keyIdsOf(signingCa),
      longestLifeMs: setUp.longestLifeMs,
      now: cluster.clock.known ? cluster.clock.value.server : now,
    }),
    ...whenKnown('privileges', 'roles and bindings', cluster.rbac, (rbac) => checkPrivileges(rbac, serviceUser, setUp)),
    ...whenKnown('node records', 'Nodes and their records', cluster.nodes, (standing) =>
      checkNodeRecords(standing, setUp.policy.credentials),
    ),
  ];
}

/** What could not be checked for one reason in many places of a check is told once. */
function joined(findings: readonly Finding[]): Finding[] {
  const first = new Map<string, Finding>();
  for (const each of findings) {
    const key = each.code === 'NotChecked' ? `${each.check}\n${each.found}` : `${first.size}`;
    const held = first.get(key);
    first.set(key, held === undefined ? each : { ...held, what: `${held.what}, ${each.what}` });
  }
  return [...first.values()];
}
