import { runningControllers } from '../../config.ts';
import { examine } from '../../doctor/examine.ts';
import { worstOf } from '../../doctor/finding.ts';
import { UsageError } from '../../errors.ts';
import { systemClock } from '../../runtime/clock.ts';
import { openAuthorities } from '../../wiring/authorities.ts';
import { openCluster, openVault, UNOBSERVED } from '../../wiring/connections.ts';
import { observe } from '../../wiring/observe.ts';
import { examinationAsJson, examinationAsText } from '../doctor-output.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { formatJson, formatOption } from '../output.ts';
import { loadConfig, type SharedFlags } from '../settings.ts';

export interface DoctorFlags extends SharedFlags {
  readonly serviceUser: string;
  readonly output: string;
}

export const DEFAULT_SERVICE_USER = 'system:serviceaccount:kube-system:kubelet-bootstrap';
const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const EXIT_OF_WORST = { error: 'sick', warning: 'ailing', info: 'ok' } as const;

/**
 * Looks at the cluster, at Vault and at the config, and prints what is wrong and how to mend it. Writes nothing; the
 * service need not run. Answers the exit code.
 */
export async function doctor(flags: DoctorFlags, io: Io): Promise<number> {
  const format = formatOption(flags.output, ['text', 'json'] as const);
  const { serviceUser } = flags;
  if (!/^[!-~]+$/.test(serviceUser)) throw new UsageError('--service-user: must be the name of a user');
  const config = await loadConfig(flags, io);
  const { transport } = openCluster(config, systemClock, UNOBSERVED);
  const given = io.env['VAULT_TOKEN'] === '' ? undefined : io.env['VAULT_TOKEN'];
  const vault =
    config.vault === undefined ? undefined : await openVault(config, systemClock, UNOBSERVED, { token: given });
  try {
    const signs = runningControllers(config).has('signer');
    const observed = await observe(
      {
        config,
        clock: systemClock,
        transport,
        vault,
        vaultLogin: given === undefined ? 'service' : 'given',
        authorities: signs ? openAuthorities(() => config, { clock: systemClock, vault, log: SILENT }) : undefined,
        serviceUser,
      },
      io.interrupted,
    );
    const findings = examine(observed);
    const rows = observed.cluster.known ? observed.cluster.value.access : [];
    io.out(format === 'json' ? formatJson(examinationAsJson(rows, findings)) : examinationAsText(rows, findings));
    return EXIT_CODES[EXIT_OF_WORST[worstOf(findings) ?? 'info']];
  } finally {
    vault?.session.stop();
    await transport.close();
  }
}
