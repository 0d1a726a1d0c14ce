import { secretNameOfToken, TOKEN_NAMESPACE } from '../tokens/token-secret.ts';
import { shortened } from './events.ts';
import type { Transport } from './transport.ts';

export interface TokenEvent {
  readonly tokenId: string;
  /** Of its Secret; undefined when that is gone. */
  readonly uid: string | undefined;
  /** Stable reason code. */
  readonly reason: string;
  readonly message: string;
  /** ms since the epoch. */
  readonly at: number;
  /** Who says so. */
  readonly instance: string;
}

/** Writes a Warning about a token's Secret, in its namespace; it is an admin's, so nothing limits the rate. Throws RemoteError. */
export async function warnOfToken(transport: Transport, event: TokenEvent, signal: AbortSignal): Promise<void> {
  const name = secretNameOfToken(event.tokenId);
  const body = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { generateName: `${name}-`, namespace: TOKEN_NAMESPACE },
    eventTime: new Date(event.at).toISOString().replace('Z', '000Z'),
    type: 'Warning',
    reason: event.reason,
    action: 'Revoke',
    note: shortened(event.message),
    reportingController: 'kubelet-bootstrap',
    reportingInstance: event.instance,
    regarding: {
      apiVersion: 'v1',
      kind: 'Secret',
      namespace: TOKEN_NAMESPACE,
      name,
      ...(event.uid === undefined ? {} : { uid: event.uid }),
    },
  };
  const path = `/apis/events.k8s.io/v1/namespaces/${TOKEN_NAMESPACE}/events`;
  await transport.call({ verb: 'create', resource: 'events', path, body }, signal);
}
