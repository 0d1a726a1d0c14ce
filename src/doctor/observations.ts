/** What is read of the cluster and of Vault before anything is judged. */
import type { Fact } from '../policy/facts.ts';
import type { PolicyConfig } from '../policy/policy-config.ts';
import type { Csr } from '../ports.ts';
import type { AccessRow } from './access-matrix.ts';
import type { Rbac } from './rbac.ts';
import type { RightAnswer } from './service-rights.ts';
import type { VaultView } from './vault-rights.ts';

/** The parts of the config that the checks look at. */
export interface SetUp {
  readonly policy: PolicyConfig;
  readonly accessReview: 'class' | 'full';
  /** Its approver decides, and writes what it decides. */
  readonly approves: boolean;
  readonly signs: boolean;
  /** Keys that admit nearly everything. */
  readonly breadth: readonly { readonly path: string }[];
  /** The longest life of a certificate that the config lets be signed, in ms. */
  readonly longestLifeMs: number;
}

/** A time of the API server, and this host's before and after; ms since the epoch. */
export interface ClockReading {
  readonly server: number;
  readonly before: number;
  readonly after: number;
}

/** What can be seen of kube-controller-manager. */
export interface ControllerManager {
  /** When its leader lease was last renewed, ms since the epoch; undefined where there is none. */
  readonly renewedAt: number | undefined;
  /** The command line of each of its pods in kube-system; empty where it does not run as a pod. */
  readonly commands: readonly (readonly string[])[];
}

/** The Nodes there are, and the records of them. */
export interface NodeStanding {
  readonly nodes: readonly string[];
  /** Names with a client certificate on record; undefined where records are not kept. */
  readonly known: ReadonlySet<string> | undefined;
  readonly adopted: ReadonlySet<string>;
  readonly unreadable: readonly string[];
}

/** The CA that is signed with. */
export interface SigningCa {
  /** PEM: the signing certificate, and what leads from it towards its root. */
  readonly certificatePem: string;
  /** Its subjectKeyIdentifier, hex; '' where it has none. */
  readonly keyId: string;
  readonly notAfter: number;
  /** The one before or after it, while one follows the other. */
  readonly others: readonly OtherCa[];
}

/** As `SigningCa`. `takesOver`: it signs from a time on that is set. */
export interface OtherCa extends Pick<SigningCa, 'certificatePem' | 'keyId'> {
  readonly takesOver: boolean;
}

/** What was read through the API server; what it did not tell is unknown, with the reason. */
export interface ClusterView {
  readonly clock: Fact<ClockReading>;
  readonly access: readonly AccessRow[];
  readonly rights: readonly RightAnswer[];
  /** Of both kubelet signers. */
  readonly csrs: Fact<readonly Csr[]>;
  readonly controllerManager: Fact<ControllerManager>;
  readonly rbac: Fact<Rbac>;
  readonly nodes: Fact<NodeStanding>;
  /** PEM of the CAs that client certificates are trusted by; '' where there are none. */
  readonly clientCas: Fact<string>;
}

/** Everything. */
export interface Observations {
  /** This host's clock. */
  readonly now: number;
  readonly setUp: SetUp;
  /** User name of the service's account. */
  readonly serviceUser: string;
  /** Unknown when the API server does not answer or refuses the credential. */
  readonly cluster: Fact<ClusterView>;
  /** undefined: this config does not sign. `problem`: what is there cannot sign. */
  readonly signingCa: Fact<SigningCa | { readonly problem: string }> | undefined;
  /** undefined: this config does without Vault. */
  readonly vault: VaultView | undefined;
}
