import type { AccessAnswer, AccessReviewer, Requester, ResourceAttributes } from '../ports.ts';
import type { Transport } from './transport.ts';
import { objectAt, textAt } from './wire.ts';

const GROUP = 'authorization.k8s.io/v1';

/** Asks the API server's authorizers, with the attributes that upstream's approver asks with. */
export function accessReviews(transport: Transport): AccessReviewer {
  const attributes = { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', verb: 'create' };
  return {
    review: (kind, subject, signal) => askAccess(transport, subject, { ...attributes, subresource: kind }, signal),
  };
}

/** Asks whether somebody may do something; without a subject, whether we ourselves may. Throws RemoteError. */
export async function askAccess(
  transport: Transport,
  subject: Requester | undefined,
  resourceAttributes: ResourceAttributes,
  signal: AbortSignal,
): Promise<AccessAnswer> {
  const kind = subject === undefined ? 'SelfSubjectAccessReview' : 'SubjectAccessReview';
  const resource = `${kind.toLowerCase()}s`;
  const body = {
    apiVersion: GROUP,
    kind,
    spec: { ...(subject === undefined ? {} : specOf(subject)), resourceAttributes },
  };
  const request = { verb: 'create', resource, path: `/apis/${GROUP}/${resource}`, body } as const;
  const status = objectAt(objectAt(await transport.call(request, signal))['status']);
  return { allowed: status['allowed'] === true, reason: textAt(status['reason']) };
}

function specOf({ username, uid, groups, extra }: Requester): object {
  return { ...(username === '' ? {} : { user: username }), ...(uid === '' ? {} : { uid }), groups, extra };
}
