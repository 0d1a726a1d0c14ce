import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { stringify } from 'yaml';
import { type Answer, type FaultApiServer, json, startFaultApiServer, status } from '../support/fault-apiserver.ts';
import { type Ran, ran, withFile } from './fake-io.ts';

interface Report {
  readonly worst: string;
  readonly access: unknown[];
  readonly findings: { code: string; found: string }[];
}

/** With an API server that answers as no real one does. What it finds in a real cluster is tested in integration. */
describe('cli/commands/doctor', () => {
  let server: FaultApiServer;
  before(async () => {
    server = await startFaultApiServer();
  });
  after(() => server.close());

  const silent: Answer = () => {};
  function run(answer: Answer, args: readonly string[] = [], timeout = '1m', interrupted?: AbortSignal): Promise<Ran> {
    server.seen.length = 0;
    server.answer = answer;
    const config = stringify({
      kubernetes: { kubeconfig: server.kubeconfig('doctor'), timeout },
      cluster: { server: server.server },
      controllers: ['approver', 'cleaner'],
      serving: { enabled: false },
    });
    return withFile(config, (path) => ran('kubelet-bootstrap', ['doctor', '--config', path, ...args], {}, interrupted));
  }
  async function report(answer: Answer, timeout?: string): Promise<Report & Ran> {
    const done = await run(answer, ['-o', 'json'], timeout);
    return { ...done, ...(JSON.parse(done.out) as Report) };
  }

  for (const [what, answer, timeout, found] of [
    ['does not answer in time', silent, '200ms', 'no answer within 0.2 s'],
    ['does not know the credential', status(401, 'Unauthorized', 'who are you?'), '1m', 'who are you?'],
  ] as const) {
    it(`has one finding where the API server ${what}, and ends with 11`, async () => {
      const { code, err, findings, access, worst } = await report(answer, timeout);
      expect({ code, err, access, worst }).to.deep.equal({ code: 11, err: '', access: [], worst: 'error' });
      expect(findings.map((each) => each.code)).to.deep.equal(['ApiServerUnusable']);
      expect(findings[0]?.found).to.include(found);
    });
  }

  it('says of every check that it may not make, and ends with 10', async () => {
    const { code, findings, worst } = await report(status(403, 'Forbidden', 'not you'));
    expect({ code, worst }).to.deep.equal({ code: 10, worst: 'warning' });
    expect(new Set(findings.map((each) => each.code))).to.deep.equal(new Set(['NotChecked']));
    expect(findings).to.have.length(6);
  });

  it('only reads and asks', async () => {
    await run(json(200, {}));
    expect(server.seen.length).to.be.greaterThan(20);
    for (const { method, path } of server.seen) {
      if (method !== 'GET') expect(`${method} ${path}`).to.match(/^POST .*\/(self)?subject(access)?reviews$/);
    }
  });

  it('ends with 130 and prints no result when it is interrupted', async () => {
    const interrupt = new AbortController();
    const hanging: Answer = (request, response) => {
      if (request.path.endsWith('/roles')) interrupt.abort();
      else if (!request.path.includes('rbac')) json(200, {})(request, response);
    };
    const { code, out, err } = await run(hanging, [], '1m', interrupt.signal);
    expect({ code, out, err }).to.deep.equal({ code: 130, out: '', err: 'kubelet-bootstrap: interrupted\n' });
  });
});
