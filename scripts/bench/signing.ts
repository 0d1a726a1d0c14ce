/**
 * `npm run bench:signing`: certificates a second by the PKI engine of a real OpenBao, in turn: bare requests to
 * `sign/:role` over kept connections, and this service's backend with plan and comparison, as many at a time.
 */
import { cpus } from 'node:os';
import { certificateCheck } from '../../src/pki/certificate-check.ts';
import { planCertificate, planValidity } from '../../src/pki/certificate-plan.ts';
import { readKubeletCsr } from '../../src/pki/pkcs10.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { pkiSigner } from '../../src/vault/pki/signer.ts';
import { buildCsrPem, testAuthority } from '../../test/support/csr-builder.ts';
import { findBinaries } from '../servers/binaries.ts';
import { HttpsClient } from '../servers/https-client.ts';
import { startOpenBao } from '../servers/openbao.ts';
import { ISSUER, PkiEngine, ROLES } from '../servers/pki-engine.ts';
import { newSupervisor } from '../servers/servers.ts';

/** As many as the service asks for unless it is told otherwise (`concurrency` of the PKI backend). */
const AT_ONCE = 16;
const ROUNDS = 16;
const ROUND_MS = 1_000;
const WARM_UP_MS = 1_500;
const GOAL = 0.8;
const DAY_MS = 86_400_000;
const MOUNT = 'bench-pki';
const NAMES = ['bare', 'vault-pki'] as const;
const never = new AbortController().signal;

/** Certificates a second by so many who each ask for the next one when they have one. */
async function rate(signOne: () => Promise<unknown>, forMs: number): Promise<number> {
  const began = performance.now();
  let count = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - began < forMs) {
      await signOne();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return count / ((performance.now() - began) / 1000);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const supervisor = newSupervisor();
try {
  const { bao } = await findBinaries(['bao']);
  const openBao = await startOpenBao(supervisor, bao);
  const engine = new PkiEngine(openBao, MOUNT, DAY_MS);
  const ca = await testAuthority();
  await engine.setUp(ca.certPem + ca.keyPem);

  const csr = buildCsrPem();
  const client = new HttpsClient({
    server: openBao.address,
    ca: openBao.ca,
    headers: { 'x-vault-token': openBao.rootToken },
  });
  const path = `/v1/${MOUNT}/issuer/${ISSUER}/sign/${ROLES.get('client')}`;
  const bare = (): Promise<unknown> => client.must('POST', path, { csr, ttl: '86000s', exclude_cn_from_sans: true });

  const signer = pkiSigner({
    caller: engine.session,
    place: { mount: MOUNT, issuer: ISSUER, roles: ROLES },
    canary: () => ({ longestMs: { client: DAY_MS, serving: DAY_MS }, dnsNames: ['canary'], ipAddresses: [] }),
    clock: systemClock,
    refreshMs: 60_000,
    concurrency: AT_ONCE,
    onProblem: (problem) => process.stderr.write(`${problem}\n`),
  });
  const { csr: read } = readKubeletCsr(Buffer.from(csr));
  if (read === undefined) throw new Error('the request is none');
  const { certificatePem, latitude, notAfter } = await signer.authority(never);
  const check = certificateCheck(certificatePem, latitude);
  const backend = async (): Promise<void> => {
    await signer.authority(never);
    const now = systemClock.now();
    const validity = planValidity({
      now,
      lifetimeMs: DAY_MS,
      requestedSeconds: undefined,
      authorityNotAfter: notAfter,
    });
    const usages = ['digital signature', 'client auth'];
    const plan = planCertificate({ csr: read, nodeName: 'worker-1', usage: 'client', usages, validity });
    const differences = check(await signer.sign(plan, Buffer.from(csr), never), plan);
    if (differences.length > 0) throw new Error(differences.join('; '));
  };

  const contestants = { bare, 'vault-pki': backend };
  for (const contestant of Object.values(contestants)) await rate(contestant, WARM_UP_MS);
  const rates: Record<(typeof NAMES)[number], number[]> = { bare: [], 'vault-pki': [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    // Whoever comes second in one round comes first in the next: what else the machine does hits both.
    const order = round % 2 === 0 ? NAMES : NAMES.toReversed();
    for (const name of order) rates[name].push(await rate(contestants[name], ROUND_MS));
  }
  const ratio = sum(rates['vault-pki']) / sum(rates.bare);
  process.stdout.write(
    `certificates a second, ${AT_ONCE} at a time, in ${ROUNDS} rounds of ${ROUND_MS / 1000} s each\n`,
  );
  for (const [name, values] of Object.entries(rates)) {
    const [mean, ...ends] = [sum(values) / ROUNDS, Math.min(...values), Math.max(...values)];
    process.stdout.write(`${name.padEnd(12)}${mean?.toFixed(0)} (${ends.map((end) => end.toFixed(0)).join(' to ')})\n`);
  }
  process.stdout.write(`ratio ${ratio.toFixed(2)}, goal ${GOAL}; machine: ${cpus().length} cores\n`);
  await client.close();
  await engine.remove();
  process.exitCode = ratio >= GOAL ? 0 : 1;
} finally {
  await supervisor.stop();
}
