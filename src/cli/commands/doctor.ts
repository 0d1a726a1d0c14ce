import { runningControllers } from '../../config.ts';
import { examine } from '../../doctor/examine.ts';
import { worstOf } from '../../doctor/finding.ts';
import { UsageError } from '../../errors.ts';
import { openAuthorities } from '../../wiring/authorities.ts';
import { observe } from '../../wiring/observe.ts';
import { examinationAsJson, examinationAsText } from '../doctor-output.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption } from '../output.ts';
import { withServers } from '../servers.ts';
import type { SharedFlags } from '../settings.ts';

export interface DoctorFlags extends SharedFlags {
  readonly serviceUser: string;
  readonly output: string;
}

export const DEFAULT_SERVICE_USER = 'system:serviceaccount:kube-system:kubelet-bootstrap';
const EXIT_OF_WORST = { error: 'sick', warning: 'ailing', info: 'ok' } as const;

/**
 * Looks at the cluster, at Vault and at the config, and prints what is wrong and how to mend it. Writes nothing; the
 * service need not run. Answers the exit code.
 */
export async function doctor(flags: DoctorFlags, io: Io): Promise<number> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  const { serviceUser } = flags;
  if (!/^[!-~]+$/.test(serviceUser)) throw new UsageError('--service-user: must be the name of a user');
  return withServers(flags, io, async (servers) => {
    const { config, isGivenToken } = servers;
    const signs = runningControllers(config).has('signer');
    const observed = await observe(
      {
        ...servers,
        vaultLogin: isGivenToken ? 'given' : 'service',
        authorities: signs ? openAuthorities(() => config, servers) : undefined,
        serviceUser,
      },
      io.interrupted,
    );
    const findings = examine(observed);
    const rows = observed.cluster.known ? observed.cluster.value.access : [];
    io.out(format === 'json' ? formatJson(examinationAsJson(rows, findings)) : examinationAsText(rows, findings));
    return EXIT_CODES[EXIT_OF_WORST[worstOf(findings) ?? 'info']];
  });
}
