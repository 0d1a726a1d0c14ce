import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { ControlPlane } from '../../scripts/servers/control-plane.ts';
import { waitUntil } from '../../scripts/servers/long-step.ts';

export const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

/** What the API server answers for a CSR, as far as tests of the servers read it. */
export interface StoredCsr {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly request: string; readonly signerName: string; readonly username: string };
  status: { conditions?: object[]; certificate?: string };
}

/** Approves and signs what this node asks for, as a signer would, until `done`. */
export async function signFor(plane: ControlPlane, node: string, done: () => Promise<boolean>): Promise<void> {
  const ca = new x509.X509Certificate(plane.ca.certificate);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const der = x509.PemConverter.decodeFirst(plane.ca.key);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  await waitUntil(
    async () => {
      const { items } = (await plane.admin.must('GET', CSRS)) as { items: StoredCsr[] };
      for (const csr of items.filter(({ status }) => status.certificate === undefined)) {
        const request = new x509.Pkcs10CertificateRequest(Buffer.from(csr.spec.request, 'base64').toString());
        if (request.subject !== `O=system:nodes, CN=system:node:${node}`) continue;
        const serving = csr.spec.signerName.endsWith('kubelet-serving');
        const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
        const certificate = await x509.X509CertificateGenerator.create({
          subject: request.subjectName,
          issuer: ca.subjectName,
          publicKey: request.publicKey,
          signingKey,
          signingAlgorithm: algorithm,
          notBefore: new Date(Date.now() - 300_000),
          notAfter: new Date(Date.now() + 3_600_000),
          extensions: [
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
            new x509.ExtendedKeyUsageExtension([serving ? serverAuth : clientAuth]),
            ...request.extensions,
          ],
        });
        csr.status = { conditions: [{ type: 'Approved', status: 'True', reason: 'Test', message: '' }] };
        const path = `${CSRS}/${csr.metadata.name}`;
        const approved = (await plane.admin.must('PUT', `${path}/approval`, csr)) as StoredCsr;
        approved.status.certificate = Buffer.from(certificate.toString('pem')).toString('base64');
        await plane.admin.must('PUT', `${path}/status`, approved);
      }
      return done();
    },
    undefined,
    50,
  );
}
