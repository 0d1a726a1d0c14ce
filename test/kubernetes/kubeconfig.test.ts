import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { stringify } from 'yaml';
import { ConfigError } from '../../src/errors.ts';
import { type Cluster, connectCluster } from '../../src/kubernetes/kubeconfig.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const SERVER = 'https://api.example.internal:6443';
const CA = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

describe('kubernetes/kubeconfig', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'kubeconfig-test-'));
    writeFileSync(join(dir, 'ca.crt'), CA);
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  function connect(path: string | undefined): Cluster {
    return connectCluster(path, { clock: systemClock, timeoutMs: 1_000, connections: 1, onCall: () => {} });
  }
  function written(text: string): string {
    const path = join(dir, 'kubeconfig');
    writeFileSync(path, text);
    return path;
  }
  function config(parts: { cluster?: object; user?: object; context?: object; current?: string } = {}): string {
    return stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': parts.current ?? 'here',
      clusters: [{ name: 'cluster', cluster: parts.cluster ?? { server: SERVER } }],
      users: [{ name: 'me', user: parts.user ?? { token: 'secret-token' } }],
      contexts: [{ name: 'here', context: parts.context ?? { cluster: 'cluster', user: 'me' } }],
    });
  }

  for (const [row, cluster, expected] of [
    ['in the file', { server: SERVER, 'certificate-authority-data': Buffer.from(CA).toString('base64') }, CA],
    ['beside it, by a relative path', { server: SERVER, 'certificate-authority': 'ca.crt' }, CA],
    ['nowhere', { server: SERVER }, ''],
  ] as const) {
    it(`finds the CA ${row}, and sends nothing yet`, () => {
      expect(connect(written(config({ cluster }))).caCertificate).to.equal(expected);
    });
  }

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['is empty', '', /./],
    ['is null', 'null', /./],
    ['is no YAML', '{ clusters: [', /./],
    ['is a list', '- a\n- b\n', /./],
    ['names no current context', config({ current: '' }), /names no cluster/],
    ['names a context that is missing', config({ current: 'there' }), /names no cluster/],
    ['names a cluster that is missing', config({ context: { cluster: 'other', user: 'me' } }), /names no cluster/],
    ['names a user that is missing', config({ context: { cluster: 'cluster', user: 'other' } }), /names no user/],
    ['has a cluster without a server', config({ cluster: {} }), /server/],
    ['has a server over http', config({ cluster: { server: 'http://127.0.0.1:8080' } }), /only https is spoken/],
    [
      'switches TLS verification off',
      config({ cluster: { server: SERVER, 'insecure-skip-tls-verify': true } }),
      /TLS verification/,
    ],
    [
      'names a CA file that is missing',
      config({ cluster: { server: SERVER, 'certificate-authority': 'none.crt' } }),
      /none\.crt/,
    ],
    ['has a user without a credential', config({ user: {} }), /no credential/],
    ['has a user with an empty token', config({ user: { token: '' } }), /no credential/],
    ['has a user with a credential that is not known here', config({ user: { tokenFile: 'x' } }), /no credential/],
  ];
  for (const [row, text, message] of wrong) {
    it(`refuses a file that ${row}`, () => {
      const path = written(text);
      const connecting = (): Cluster => connect(path);
      expect(connecting).to.throw(ConfigError, message);
      expect(connecting, 'names the file').to.throw(path);
      expect(connecting, 'tells no token').not.to.throw('secret-token');
    });
  }

  describe('a list of files, as kubectl takes it', () => {
    const file = (name: string, text: string): string => {
      const path = join(dir, name);
      writeFileSync(path, text);
      return path;
    };
    const data = (ca: string): object => ({
      server: SERVER,
      'certificate-authority-data': Buffer.from(ca).toString('base64'),
    });
    const clusters = (text: string): string =>
      file('clusters', stringify({ clusters: [{ name: 'cluster', cluster: data(text) }] }));

    it('is put together: cluster, user and context may stand in different ones', () => {
      const rest = stringify({
        'current-context': 'here',
        users: [{ name: 'me', user: { token: 'secret-token' } }],
        contexts: [{ name: 'here', context: { cluster: 'cluster', user: 'me' } }],
      });
      expect(connect([clusters(CA), file('rest', rest)].join(':')).caCertificate).to.equal(CA);
    });

    it('goes by the first that names something, the current context as well', () => {
      const other = config({ cluster: data('the other'), current: 'there' });
      const own = file('own', config({ cluster: data('its own') }));
      expect(connect([own, file('other', other)].join(':')).caCertificate).to.equal('its own');
      expect(connect([clusters('the first'), own].join(':')).caCertificate).to.equal('the first');
    });

    it('may name files that are missing, but not only such', () => {
      const list = ['', join(dir, 'none'), written(config({ cluster: data(CA) }))].join(':');
      expect(connect(list).caCertificate).to.equal(CA);
      expect(() => connect(`${join(dir, 'none')}:${join(dir, 'nor')}`)).to.throw(ConfigError, /none/);
    });
  });

  it('takes a colon in the path of one file for what it is', () => {
    const path = join(dir, 'with:colon');
    writeFileSync(path, config());
    expect(connect(path).caCertificate).to.equal('');
  });

  it('refuses a file that is missing', () => {
    expect(() => connect(join(dir, 'none'))).to.throw(ConfigError, /none/);
  });

  it('refuses no file outside of a cluster, instead of talking to localhost:8080', () => {
    expect(() => connect(undefined)).to.throw(ConfigError, /not in a cluster/);
  });
});
