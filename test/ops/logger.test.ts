import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { createLog } from '../../src/ops/logger.ts';
import type { Log } from '../../src/ports.ts';

const SECRET = '0123456789abcdef';

describe('ops/logger', () => {
  let lines: string[];
  let log: Log;
  beforeEach(() => {
    lines = [];
    log = createLog('info', (line) => lines.push(line));
  });

  it('writes one line of JSON, with level, RFC 3339 time, fields and message', () => {
    log.warn({ csr: 'csr-1' }, 'CSR left\nwaiting');
    expect(lines).to.have.length(1);
    expect(lines[0]?.indexOf('\n')).to.equal((lines[0]?.length ?? 0) - 1);
    const { time, ...rest } = JSON.parse(lines[0] ?? '') as Record<string, string>;
    expect(rest).to.deep.equal({ level: 'warn', csr: 'csr-1', message: 'CSR left\nwaiting' });
    expect(time).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('leaves out what is below its level', () => {
    log.debug({}, 'detail');
    log.info({}, 'word');
    log.error({}, 'alarm');
    expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).to.deep.equal(['info', 'error']);
  });

  it('tells which lines are a warning or worse', () => {
    const warnings: boolean[] = [];
    const told = createLog('debug', (_, isWarning) => warnings.push(isWarning));
    told.debug({}, 'm');
    told.info({}, 'm');
    told.warn({}, 'm');
    told.error({}, 'm');
    told.info({}, 'm');
    expect(warnings).to.deep.equal([false, false, true, true, false]);
  });

  for (const [row, fields] of [
    ['a token', { token: `abcdef.${SECRET}` }],
    ['a secret part', { secret: SECRET }],
    ['a token within another field', { issued: { token: `abcdef.${SECRET}` } }],
    ['the secret part of a token object', { issued: { id: 'abcdef', secret: SECRET } }],
    ['a Vault secret ID', { auth: { secret_id: SECRET } }],
    ['a private key', { pair: { keyPem: SECRET } }],
    ['the bytes of a request', { csr: { request: SECRET } }],
  ] as const) {
    it(`keeps ${row} out, should one ever be handed over`, () => {
      log.info(fields, 'oops');
      expect(lines.join('')).to.contain('oops').and.not.to.contain(SECRET);
    });
  }

  it('keeps the token ID, which is how a token is spoken of', () => {
    log.info({ tokenId: 'abcdef' }, 'token issued');
    expect(lines[0]).to.contain('"tokenId":"abcdef"');
  });
});
