import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { DEFAULT_CONFIG, RUN_OPTIONS, SHARED_OPTIONS } from '../../src/cli/settings.ts';
import type { ProgramName } from '../../src/cli/program.ts';
import { LEAST, withValues } from '../support/config-text.ts';
import { ran, withFile } from './fake-io.ts';

const SERVICE = 'kubelet-bootstrap';
const TOKENS = 'bootstrap-token';
const SHARED = Object.values(SHARED_OPTIONS).map(({ flag }) => flag);

describe('cli/program: help', () => {
  const HELP: readonly (readonly [ProgramName, readonly string[], readonly string[]])[] = [
    [SERVICE, [], ['run', 'explain', 'simulate', 'node', 'Exit codes: 0 done', '7 some of many nodes got no token']],
    [SERVICE, ['run'], [...SHARED, ...Object.values(RUN_OPTIONS).map(({ flag }) => flag), DEFAULT_CONFIG]],
    [SERVICE, ['explain'], [...SHARED, '[csr]', '--filename', '--output']],
    [SERVICE, ['simulate'], [...SHARED, '--filename', '--baseline', '--facts', '--output']],
    [SERVICE, ['node'], ['list', 'release', 'ban', 'unban']],
    [SERVICE, ['node', 'list'], [...SHARED, '--output']],
    [SERVICE, ['node', 'release'], [...SHARED, '<name>', '--for']],
    [SERVICE, ['node', 'ban'], [...SHARED, '<name>', '--reason']],
    [SERVICE, ['node', 'unban'], [...SHARED, '<name>']],
    [SERVICE, ['fleet'], ['plan']],
    [SERVICE, ['fleet', 'plan'], [...SHARED, '--join', '--pool', '--hours', '--rate', '--output']],
    [SERVICE, ['doctor'], [...SHARED, '--service-user', '--output', 'kube-system:kubelet-bootstrap']],
    [
      TOKENS,
      [],
      'issue,list,show,verify,generate,extend,rotate,revoke,report-stolen,--version,Exit codes: 0 done'.split(','),
    ],
    [
      TOKENS,
      ['issue'],
      [
        ...SHARED,
        ...'--for-node,--nodes,--pool,--ttl,--description,--uses,--count,--address,--replace,--dry-run'.split(','),
        '--show-secret',
        '--output',
        'Examples:',
      ],
    ],
    [TOKENS, ['list'], [...SHARED, '--for-node', '--pool', '--expired', '--usable', '--show-secret', '--output']],
    [TOKENS, ['show'], [...SHARED, '<id>', '--show-secret', '--output']],
    [TOKENS, ['verify'], [...SHARED, '<id>', '--output']],
    [TOKENS, ['generate'], ['writes nothing']],
    [TOKENS, ['extend'], [...SHARED, '<id>', '--ttl', '--shorten']],
    [TOKENS, ['rotate'], [...SHARED, '--for-node', '--pool', '--ttl', '--show-secret', '--output']],
    [TOKENS, ['revoke'], [...SHARED, '[ids...]', '--for-node', '--pool', '--all-expired', '--yes']],
    [TOKENS, ['report-stolen'], [...SHARED, '<id>', '--output']],
  ];
  for (const [program, command, words] of HELP) {
    it(`of ${[program, ...command].join(' ')} goes to stdout and names everything`, async () => {
      for (const asking of [
        [...command, '--help'],
        [...command, '-h'],
        [...command.slice(0, -1), 'help', ...command.slice(-1)],
      ]) {
        const { code, out, err } = await ran(program, asking);
        expect(code).to.equal(0);
        expect(err).to.equal('');
        expect(out).to.match(new RegExp(`^Usage: ${[program, ...command].join(' ')} `));
        for (const word of words) expect(out).to.include(word);
      }
    });
  }
});

describe('cli/program: wrong command lines end with 2, say why on stderr and print no result', () => {
  const WRONG: readonly (readonly [ProgramName, readonly string[], RegExp])[] = [
    [SERVICE, [], /^Usage: kubelet-bootstrap/],
    [SERVICE, ['walk'], /unknown command 'walk'/],
    [SERVICE, ['run', '--fast'], /unknown option '--fast'/],
    [SERVICE, ['run', 'now'], /too many arguments/],
    [SERVICE, ['run', '--config'], /argument missing/],
    [SERVICE, ['explain'], /name one CSR of the cluster, or a file with -f/],
    [SERVICE, ['explain', 'csr-1', '-f', 'csr.yaml'], /name one CSR of the cluster, or a file with -f/],
    [SERVICE, ['simulate'], /required option '-f, --filename <path>' not specified/],
    [SERVICE, ['simulate', '-f', '.', '--facts', 'none'], /Allowed choices are assumed, cluster/],
    [SERVICE, ['node', 'release', 'Worker-1'], /"Worker-1" is no name of a node/],
    [SERVICE, ['node', 'ban', 'a_b'], /"a_b" is no name of a node/],
    [SERVICE, ['node', 'release', 'a', '--for', '25h'], /--for 25h: must be a duration of up to 24h/],
    [SERVICE, ['node', 'release', 'a', '--for', 'ever'], /--for ever: must be a duration/],
    [SERVICE, ['node', 'evict', 'a'], /unknown command 'evict'/],
    [SERVICE, ['explain', 'csr-1', '-o', 'yaml'], /-o yaml: must be one of text, json/],
    [SERVICE, ['doctor', '-o', 'yaml'], /-o yaml: must be one of text, json/],
    [SERVICE, ['doctor', 'csr-1'], /too many arguments/],
    [SERVICE, ['doctor', '--service-user', ''], /--service-user: must be the name of a user/],
    [SERVICE, ['doctor', '--service-user', 'a\nb'], /--service-user: must be the name of a user/],
    [SERVICE, ['issue'], /unknown command 'issue'/],
    [TOKENS, [], /^Usage: bootstrap-token/],
    [TOKENS, ['run'], /unknown command 'run'/],
    [
      TOKENS,
      ['issue', '--for-node', 'a', '-o', 'text'],
      /-o text: must be one of token, json, yaml, join, bootstrap-kubeconfig/,
    ],
    [TOKENS, ['issue', '--for-node', 'a', '--ttl', '10'], /--ttl 10: is no duration/],
    [TOKENS, ['issue', '--for-node', 'a', '--ttl', '59s'], /--ttl 59s: a token lives for a minute at least/],
    [TOKENS, ['issue', '--for-node', 'a', '--ttl', '8761h'], /8760h at most/],
    [TOKENS, ['issue', 'worker-1'], /too many arguments/],
    [TOKENS, ['list', '-o', 'token'], /-o token: must be one of text, wide, json, yaml/],
    [TOKENS, ['list', '--for-node', 'a', '--pool', 'b'], /say either --for-node or --pool/],
    [TOKENS, ['list', '--expired', '--usable'], /say either --expired or --usable/],
    [TOKENS, ['issue', '--nodes', 'f', '-o', 'bootstrap-kubeconfig'], /must be one of text, token, json, yaml, join/],
    [TOKENS, ['issue', '--nodes', 'f', '--for-node', 'a'], /say either --nodes or --for-node/],
    [TOKENS, ['issue', '--nodes', 'f', '--pool', 'a'], /say either --nodes or --pool/],
    [TOKENS, ['issue', '--nodes', 'f', '--address', '10.0.0.1'], /say either --nodes or --address/],
    [TOKENS, ['issue', '--nodes', 'f', '--count', '2'], /say either --nodes or --count/],
    [TOKENS, ['extend', 'abcdef'], /required option '--ttl <duration>' not specified/],
    [TOKENS, ['extend', 'abcdef', '--ttl', '1d'], /--ttl 1d: is no duration/],
    [TOKENS, ['extend', 'abc', '--ttl', '1h'], /a token ID is six characters/],
    [TOKENS, ['rotate', '-o', 'text'], /-o text: must be one of token, json, yaml, join, bootstrap-kubeconfig/],
    [TOKENS, ['verify', 'abc'], /a token ID is six characters/],
    [TOKENS, ['verify', 'abcdef', '-o', 'yaml'], /-o yaml: must be one of text, json/],
    [TOKENS, ['report-stolen', 'abc'], /a token ID is six characters/],
    [TOKENS, ['generate', 'abcdef'], /too many arguments/],
    [TOKENS, ['show'], /missing required argument 'id'/],
    [TOKENS, ['show', 'abc'], /a token ID is six characters/],
    [TOKENS, ['revoke'], /name token IDs, or --for-node, or --pool, or --all-expired/],
    [TOKENS, ['revoke', '--for-node', 'a', '--pool', 'b'], /say either --for-node or --pool/],
    [TOKENS, ['revoke', 'abcdef', 'ABCDEF'], /a token ID is six characters/],
  ];
  for (const [program, args, message] of WRONG) {
    it([program, ...args].join(' '), async () => {
      const { code, out, err } = await ran(program, args);
      expect(code).to.equal(2);
      expect(out).to.equal('');
      expect(err).to.match(message);
    });
  }

  it('never repeats the secret of a whole token that was given for an ID', async () => {
    for (const command of ['show', 'revoke', 'verify', 'report-stolen']) {
      const { code, err } = await ran(TOKENS, [command, 'abcdef.0123456789abcdef']);
      expect(code).to.equal(2);
      expect(err).to.not.include('0123456789abcdef');
    }
  });
});

describe('cli/program: without a config', () => {
  it('both programs print the version of the package', async () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const { version } = JSON.parse(text) as { version: string };
    for (const program of [SERVICE, TOKENS] as const) {
      expect(await ran(program, ['--version'])).to.deep.equal({ code: 0, out: `${version}\n`, err: '' });
    }
  });

  it('bootstrap-token generate prints a token, another one each time', async () => {
    const runs = [await ran(TOKENS, ['generate']), await ran(TOKENS, ['generate'])];
    for (const { code, out, err } of runs) {
      expect({ code, err }).to.deep.equal({ code: 0, err: '' });
      expect(out).to.match(/^[a-z0-9]{6}\.[a-z0-9]{16}\n$/);
    }
    expect(runs[0]?.out).not.to.equal(runs[1]?.out);
  });
});

describe('cli/program: nodes file', () => {
  const issue = (path: string, input = ''): ReturnType<typeof ran> =>
    withFile(LEAST, (config) =>
      ran(TOKENS, ['issue', '--nodes', path, '--config', config], {}, undefined, {
        input: () => Promise.resolve(input),
      }),
    );

  it('that is wrong ends with 2 and every problem with its line, before anything is reached', async () => {
    const { code, out, err } = await issue('-', 'worker-1\nWorker-2\nworker-1\nworker-3,1d\n');
    expect({ code, out }).to.deep.equal({ code: 2, out: '' });
    expect(err).to.equal(
      'bootstrap-token: stdin: 3 problems\n' +
        '  line 2: "Worker-2": a node name is a lower-case DNS name of at most 251 characters\n' +
        '  line 3: node worker-1 stands in line 1 already\n' +
        '  line 4: ttl "1d": is no duration such as 30m or 1h30m\n',
    );
  });

  it('that is empty or not there ends with 2 and its name', async () => {
    expect(await issue('-', '# none\n\n')).to.deep.equal({
      code: 2,
      out: '',
      err: 'bootstrap-token: stdin: there is no node in it\n',
    });
    const { code, err } = await issue('/nowhere/nodes.csv');
    expect(code).to.equal(2);
    expect(err).to.include('--nodes /nowhere/nodes.csv: ENOENT');
  });
});

describe('cli/program: config', () => {
  const COMMANDS: readonly (readonly [ProgramName, readonly string[]])[] = [
    [SERVICE, ['run']],
    [SERVICE, ['explain', 'csr-1']],
    [SERVICE, ['doctor']],
    [TOKENS, ['issue', '--for-node', 'a']],
    [TOKENS, ['list']],
    [TOKENS, ['show', 'abcdef']],
    [TOKENS, ['verify', 'abcdef']],
    [TOKENS, ['extend', 'abcdef', '--ttl', '1h']],
    [TOKENS, ['rotate', '--for-node', 'a']],
    [TOKENS, ['revoke', 'abcdef']],
    [TOKENS, ['report-stolen', 'abcdef']],
  ];
  for (const [program, args] of COMMANDS) {
    it(`of ${[program, ...args].join(' ')} that is not there ends with 2 and its name`, async () => {
      const { code, out, err } = await ran(program, [...args, '--config', '/nowhere/config.yaml']);
      expect(code).to.equal(2);
      expect(out).to.equal('');
      expect(err).to.include('/nowhere/config.yaml').and.include('ENOENT');
    });

    it(`of ${[program, ...args].join(' ')} that is wrong ends with 2 and every problem`, async () => {
      await withFile('ops: { logLevel: loud }\nextra: 1\n', async (path) => {
        const { code, out, err } = await ran(program, [...args, '--config', path]);
        expect(code).to.equal(2);
        expect(out).to.equal('');
        expect(err.startsWith(`${program}: ${path}: 6 problems\n`)).to.equal(true);
        for (const key of ['cluster', 'ops.logLevel', 'extra', 'serving.addressRanges', 'signer.ca', 'vault']) {
          expect(err).to.include(`\n  ${key}: `);
        }
      });
    });
  }

  it('is looked for where the flag says, then the environment, then in the default place', async () => {
    const KUBELET_BOOTSTRAP_CONFIG = '/nowhere/env.yaml';
    const flag = await ran(SERVICE, ['run', '--config', '/nowhere/flag.yaml'], { KUBELET_BOOTSTRAP_CONFIG });
    expect(flag.err).to.include('/nowhere/flag.yaml');
    expect((await ran(SERVICE, ['run'], { KUBELET_BOOTSTRAP_CONFIG })).err).to.include('/nowhere/env.yaml');
    expect((await ran(SERVICE, ['run'])).err).to.include(DEFAULT_CONFIG);
  });

  it('takes flags before the environment, and tells of what is wrong in either', async () => {
    await withFile(LEAST, async (path) => {
      const env = {
        KUBELET_BOOTSTRAP_CONTROLLERS: 'minter, wrong',
        KUBELET_BOOTSTRAP_LOG_LEVEL: 'loud',
        VAULT_ADDR: 'x',
      };
      const fromEnv = await ran(SERVICE, ['run', '--config', path], env);
      expect(fromEnv.code).to.equal(2);
      for (const key of ['controllers.1', 'ops.logLevel', 'vault.address']) expect(fromEnv.err).to.include(key);
      const flags = ['--controllers', 'approver,nonsense,x', '--log-level', 'shrill'];
      const fromFlags = await ran(SERVICE, ['run', '--config', path, ...flags], { ...env, VAULT_ADDR: '' });
      expect(fromFlags.err).to.include('3 problems').and.include('controllers.1').and.include('controllers.2');
    });
  });

  it('names the pools there are when another is asked for', async () => {
    const text = withValues({ 'pools.workers': { nodeNames: 'x' }, 'pools.gpu': { nodeNames: 'x' } });
    await withFile(text, async (path) => {
      const { code, out, err } = await ran(TOKENS, ['issue', '--pool', 'wrokers', '--config', path]);
      expect(code).to.equal(3);
      expect(out).to.equal('');
      expect(err).to.include('pool "wrokers" is not in the config; known pools: workers, gpu');
    });
  });

  it('issues for a node or a pool, not for both, none, or what is no node name', async () => {
    await withFile(LEAST, async (path) => {
      for (const [args, message] of [
        [[], 'say one of --for-node, --pool and --nodes'],
        [['--for-node', 'a', '--pool', 'b'], 'say either --for-node or --pool'],
        [['--for-node', 'Worker_1'], '"Worker_1": a node name is a lower-case DNS name'],
        [['--for-node', ''], '"": a node name is a lower-case DNS name'],
        [['--for-node', '../pools/x'], 'a node name is a lower-case DNS name'],
      ] as const) {
        const { code, out, err } = await ran(TOKENS, ['issue', ...args, '--config', path]);
        expect([code, out]).to.deep.equal([2, '']);
        expect(err).to.include(message);
      }
    });
  });

  it('that names a kubeconfig which is not there ends with 2, nothing started', async () => {
    await withFile(withValues({ 'kubernetes.kubeconfig': '/nowhere/kubeconfig' }), async (path) => {
      for (const [program, args] of COMMANDS) {
        const { code, out, err } = await ran(program, [...args, '--config', path]);
        expect([code, out], args.join(' ')).to.deep.equal([2, '']);
        expect(err).to.include('/nowhere/kubeconfig');
      }
    });
  });

  it('that names several files which are not there ends with all of them', async () => {
    const files = ['kubernetes.kubeconfig', 'cluster.caFile', 'vault.caFile', 'serving.inventory.file'];
    const text = withValues(Object.fromEntries(files.map((key) => [key, `/nowhere/${key}`])));
    await withFile(text, async (path) => {
      const { code, out, err } = await ran(SERVICE, ['run', '--config', path]);
      expect([code, out]).to.deep.equal([2, '']);
      for (const key of files) expect(err).to.match(new RegExp(`^  ${key}: ENOENT.*'/nowhere/${key}'$`, 'm'));
    });
  });

  it('ends with 130 when it was interrupted', async () => {
    const { code, err } = await ran(SERVICE, ['run', '--config', '/nowhere'], {}, AbortSignal.abort());
    expect(code).to.equal(130);
    expect(err).to.equal('kubelet-bootstrap: interrupted\n');
  });
});
