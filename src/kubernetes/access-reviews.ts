import type { AccessReviewer } from '../ports.ts';
import type { Transport } from './transport.ts';
import { objectAt, textAt } from './wire.ts';

const PATH = '/apis/authorization.k8s.io/v1/subjectaccessreviews';

/** Asks the API server's authorizers, with the attributes that upstream's approver asks with. */
export function accessReviews(transport: Transport): AccessReviewer {
  return {
    review: async (kind, subject, signal) => {
      const body = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          ...(subject.username === '' ? {} : { user: subject.username }),
          ...(subject.uid === '' ? {} : { uid: subject.uid }),
          groups: subject.groups,
          extra: subject.extra,
          resourceAttributes: {
            group: 'certificates.k8s.io',
            resource: 'certificatesigningrequests',
            verb: 'create',
            subresource: kind,
          },
        },
      };
      const request = { verb: 'create', resource: 'subjectaccessreviews', path: PATH, body } as const;
      const status = objectAt(objectAt(await transport.call(request, signal))['status']);
      return { allowed: status['allowed'] === true, reason: textAt(status['reason']) };
    },
  };
}
