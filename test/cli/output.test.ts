import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parse } from 'yaml';
import { formatJson, formatOption, formatTable, formatYaml } from '../../src/cli/output.ts';
import { bootstrapKubeconfig, describeToken, stateOfToken, tokenTable } from '../../src/cli/token-output.ts';
import { UsageError } from '../../src/errors.ts';
import type { TokenRecord } from '../../src/tokens/token-secret.ts';
import { NOW, tokenRecord as token } from '../support/token-records.ts';

const SECRET = '0123456789abcdef';

describe('cli/output', () => {
  it('pads the columns of a table to their widest cell, and ends no line with a blank', () => {
    expect(
      formatTable(
        ['ID', 'NAME', 'END'],
        [
          ['1', 'short', ''],
          ['22222', 'x', 'now'],
        ],
      ),
    ).to.equal('ID      NAME    END\n1       short\n22222   x       now\n');
  });

  it('prints the header of an empty table', () => {
    expect(formatTable(['A', 'B'], [])).to.equal('A   B\n');
  });

  it('keeps every row to one line, without control characters for the terminal', () => {
    const table = formatTable(['A'], [['one\ntwo\r\nthree\u001b[31m\u009b']]);
    expect(table).to.equal('A\none two three [31m\n');
  });

  it('knows its formats, and names them when it is asked for another', () => {
    expect(formatOption('json', ['text', 'json'])).to.equal('json');
    for (const wrong of ['', 'JSON', 'toString']) {
      expect(() => formatOption(wrong, ['text', 'json'])).to.throw(UsageError, 'must be one of text, json');
    }
  });

  it('prints JSON and YAML that can be read back, with one newline at the end', () => {
    const value = [{ a: 'x: y', b: null, c: ['yes', '1e3', ''] }];
    expect(JSON.parse(formatJson(value))).to.deep.equal(value);
    expect(parse(formatYaml(value))).to.deep.equal(value);
    for (const text of [formatJson(value), formatYaml(value), formatJson([])]) expect(text).to.match(/[^\n]\n$/);
  });
});

describe('cli/token-output: describeToken', () => {
  it('masks the secret part unless it was asked for', () => {
    const masked = describeToken(token(), undefined, NOW);
    expect(masked['token']).to.equal('abcdef.****************');
    expect(describeToken(token(), SECRET, NOW)['token']).to.equal(`abcdef.${SECRET}`);
  });

  it('shows what there is of a token', () => {
    expect(describeToken(token(), undefined, NOW)).to.deep.equal({
      id: 'abcdef',
      token: 'abcdef.****************',
      node: 'worker-1',
      state: 'usable',
      expiresAt: '2027-01-31T13:00:00Z',
      groups: ['system:bootstrappers:node:worker-1'],
      managed: true,
      vaultPath: 'nodes/worker-1',
      description: 'first of its kind',
    });
  });

  it('shows a pool as such, and leaves out what is not there', () => {
    const change = { binding: { kind: 'pool', pool: 'workers' }, vaultPath: undefined, expiresAt: undefined } as const;
    const shown = describeToken(token(change), undefined, NOW);
    expect(shown).to.include({ pool: 'workers', expiresAt: null }).and.not.have.any.keys('node', 'vaultPath');
    expect(describeToken(token({ binding: undefined }), undefined, NOW)).to.not.have.any.keys('node', 'pool');
  });

  const STATES: readonly (readonly [Partial<TokenRecord>, string])[] = [
    [{}, 'usable'],
    [{ expiresAt: undefined }, 'usable'],
    [{ expiresAt: NOW + 1 }, 'usable'],
    [{ expiresAt: NOW }, 'expired'],
    [{ publishingUntil: NOW + 1 }, 'publishing'],
    [{ publishingUntil: NOW + 1, expiresAt: NOW }, 'expired'],
    [{ authenticates: false, expiresAt: NOW }, 'disabled'],
    [{ beingDeleted: true, authenticates: false, expiresAt: NOW }, 'deleting'],
  ];
  for (const [change, state] of STATES) {
    it(`calls a token with ${JSON.stringify(change)} ${state}`, () => {
      expect(stateOfToken(token(change), NOW)).to.equal(state);
    });
  }
});

describe('cli/token-output: tokenTable', () => {
  it('has a line for each token, soonest end first, those without end last', () => {
    const lines = tokenTable(
      [
        token({ id: 'never1', expiresAt: undefined, binding: undefined, vaultPath: undefined, description: '' }),
        token({ id: 'later1', expiresAt: NOW + 7_200_000 }),
        token({ id: 'sooner', description: 'a\nb' }),
      ],
      NOW,
    ).split('\n');
    expect(lines.map((line) => line.split(/ {3,}/))).to.deep.equal([
      ['ID', 'BINDING', 'STATE', 'TTL', 'EXPIRES', 'VAULT PATH', 'DESCRIPTION'],
      ['sooner', 'node worker-1', 'usable', '1h', '2027-01-31T13:00:00Z', 'nodes/worker-1', 'a b'],
      ['later1', 'node worker-1', 'usable', '2h', '2027-01-31T14:00:00Z', 'nodes/worker-1', 'first of its kind'],
      ['never1', '<none>', 'usable', '<forever>', '<never>', '<none>'],
      [''],
    ]);
  });

  it('has no column for the secret part', () => {
    expect(tokenTable([token()], NOW)).to.not.match(/\*|[a-z0-9]{6}\.[a-z0-9]{16}/);
  });
});

describe('cli/token-output: bootstrapKubeconfig', () => {
  it('is a kubeconfig with the token, the API server and its CA', () => {
    const caCertificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
    const text = bootstrapKubeconfig({ id: 'abcdef', secret: SECRET }, { server: 'https://api:6443', caCertificate });
    expect(parse(text)).to.deep.equal({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'kubernetes',
          cluster: {
            server: 'https://api:6443',
            'certificate-authority-data': Buffer.from(caCertificate).toString('base64'),
          },
        },
      ],
      users: [{ name: 'kubelet-bootstrap', user: { token: `abcdef.${SECRET}` } }],
      contexts: [{ name: 'bootstrap', context: { cluster: 'kubernetes', user: 'kubelet-bootstrap' } }],
      'current-context': 'bootstrap',
    });
  });

  it('keeps a token of digits a string', () => {
    const cluster = { server: 'https://api', caCertificate: 'x' };
    for (const token of [
      { id: '123456', secret: '1234567890123456' },
      { id: '1e1234', secret: '0000000000000000' },
    ]) {
      const read = parse(bootstrapKubeconfig(token, cluster)) as { users: { user: { token: unknown } }[] };
      expect(read.users[0]?.user.token).to.equal(`${token.id}.${token.secret}`);
    }
  });
});
