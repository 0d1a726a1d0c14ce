import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { stringify } from 'yaml';
import { expiryAsJson, expiryAsText, leftText } from '../../src/cli/expiry-output.ts';
import { judge, type Row } from '../../src/expiry/judge.ts';
import { LEAST, withValues } from '../support/config-text.ts';
import { testAuthority } from '../support/test-authority.ts';
import { ran, withFile } from './fake-io.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2027, 0, 31);
const THRESHOLDS = { warningMs: 30 * DAY, criticalMs: 7 * DAY };
const object = { apiVersion: 'v1', kind: 'Service', namespace: 'default', name: 'kubernetes' };

const ROWS: readonly Row[] = [
  judge(
    {
      kind: 'api-server',
      name: 'a:1',
      object,
      reading: { kind: 'ends', endsAt: NOW + 10.5 * DAY, lifeMs: 365 * DAY, firstEndsAt: NOW + DAY, note: 'CN=a' },
    },
    THRESHOLDS,
    NOW,
  ),
  judge({ kind: 'file', name: '/x', object: undefined, reading: { kind: 'none', note: 'why' } }, THRESHOLDS, NOW),
];

const KUBECONFIG = stringify({
  clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'u', user: { token: 'abcdef.0123456789abcdef' } }],
  contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  'current-context': 'x',
});

/** Runs the work with a writer of files, which are gone afterwards. */
async function inFolder(work: (write: (name: string, text: string) => string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-expiry-'));
  try {
    await work((name, text) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('cli/expiry', () => {
  it('prints a table', () => {
    expect(expiryAsText(ROWS)).to.equal(
      [
        'LEVEL     LEFT      ENDS                   KIND         NAME   DETAIL\n',
        'WARNING   10d 12h   2027-02-10T12:00:00Z   api-server   a:1    CN=a\n',
        'NONE      -         -                      file         /x     why\n',
      ].join(''),
    );
  });

  it('prints the same for programs', () => {
    expect(expiryAsJson(ROWS, NOW)).to.deep.equal({
      worst: 'warning',
      at: '2027-01-31T00:00:00Z',
      things: [
        {
          kind: 'api-server',
          name: 'a:1',
          level: 'warning',
          endsAt: '2027-02-10T12:00:00Z',
          secondsLeft: 907_200,
          firstEndsAt: '2027-02-01T00:00:00Z',
          detail: 'CN=a',
          object,
        },
        {
          kind: 'file',
          name: '/x',
          level: 'none',
          endsAt: null,
          secondsLeft: null,
          firstEndsAt: null,
          detail: 'why',
          object: null,
        },
      ],
    });
  });

  for (const [ms, text] of [
    [10.5 * DAY, '10d 12h'],
    [DAY, '1d 0h'],
    [DAY - 1, '23h 59m'],
    [59_999, '0h 0m'],
    [-90 * 60_000, '-1h 30m'],
    [-2 * DAY, '-2d 0h'],
  ] as const) {
    it(`writes ${ms} ms as ${text}`, () => {
      expect(leftText(ms)).to.equal(text);
    });
  }

  it('names a CA that signs and is over, also while the API server is away, and ends with 11', async () => {
    const over = await testAuthority('P-256', { subject: 'CN=over', notAfter: new Date(Date.now() - DAY) });
    await inFolder(async (write) => {
      const kubeconfig = write('kubeconfig', KUBECONFIG);
      const ca = { certificateFile: write('ca.crt', over.certPem), keyFile: write('ca.key', over.keyPem) };
      const signs = { 'signer.ca': ca, controllers: ['approver', 'signer'], vault: undefined };
      const config = write('config.yaml', withValues({ ...signs, 'expiry.files': ['/not/there.pem'] }));
      const args = ['expiry', '--alarms', '--config', config, '--kubeconfig', kubeconfig];
      const { code, out, err } = await ran('kubelet-bootstrap', args);
      expect([code, err]).to.deep.equal([11, '']);
      expect(out).to.match(/^UNUSABLE +- +- +signing-ca +CA +CA files .*: the certificate expired at /m);
      expect(out).to.match(/^UNREADABLE +- +- +validating-webhook +\* +.*ECONNREFUSED/m);
      expect(out).to.match(/^UNREADABLE +- +- +file +\/not\/there.pem +ENOENT/m);
      const elsewhere = { ...signs, 'signer.ca': { ...ca, keyFile: '/not/there.key' } };
      write('config.yaml', withValues(elsewhere));
      expect(await ran('kubelet-bootstrap', args), 'files of another host say nothing').to.include({ code: 10 });
    });
  });

  it('refuses a format that it does not know, before anything is read', async () => {
    const { code, err } = await withFile(LEAST, (path) =>
      ran('kubelet-bootstrap', ['expiry', '--config', path, '-o', 'yaml']),
    );
    expect([code, err]).to.deep.equal([2, 'kubelet-bootstrap: -o yaml: must be one of text, json\n']);
  });
});
