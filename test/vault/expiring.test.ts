import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { RemoteError } from '../../src/errors.ts';
import type { ExpirySource } from '../../src/ports.ts';
import type { JsonObject, VaultReply, VaultRequest } from '../../src/vault/client.ts';
import { vaultSecretId, vaultToken } from '../../src/vault/expiring.ts';
import type { VaultCaller } from '../../src/vault/key-value.ts';
import { failureOf } from '../controllers/world.ts';
import { never } from './session-fixture.ts';

const HOUR = 3_600_000;
const AT = Date.UTC(2027, 0, 31);
const SECRET_ID = '9f2c0a51-0000-4000-8000-6d2f5a1b7c3e';

const timeOf = (ms: number): string => new Date(ms).toISOString().replace('Z', '123456Z');
const token = (changes: JsonObject): JsonObject => ({
  data: {
    creation_time: AT / 1000,
    creation_ttl: 3_600,
    explicit_max_ttl: 0,
    expire_time: timeOf(AT + HOUR),
    ...changes,
  },
});

/** Answers by the end of the path; an Error is thrown. */
class Caller implements VaultCaller {
  readonly seen: VaultRequest[] = [];
  readonly #answers: Readonly<Record<string, JsonObject | Error>>;

  constructor(answers: Readonly<Record<string, JsonObject | Error>>) {
    this.#answers = answers;
  }

  call(request: VaultRequest): Promise<VaultReply> {
    this.seen.push(request);
    const answer = this.#answers[request.path.at(-1) ?? ''] ?? {};
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ found: true, body: answer });
  }
}

const short = async (source: ExpirySource): Promise<(readonly unknown[])[]> =>
  (await source.read(never)).map(({ name, reading }) => [
    name,
    reading.kind,
    ...(reading.kind === 'ends' ? [(reading.endsAt - AT) / HOUR, reading.lifeMs / HOUR] : []),
    reading.note,
  ]);

describe('vault/expiring', () => {
  let dir: string;
  let secretIdFile: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'kubelet-bootstrap-ends-'));
    secretIdFile = join(dir, 'secret-id');
    writeFileSync(secretIdFile, `${SECRET_ID}\n`);
  });
  after(() => rmSync(dir, { recursive: true }));

  const tokens: readonly (readonly [string, JsonObject, boolean, readonly (readonly unknown[])[]])[] = [
    ['a token', {}, true, [['login', 'ends', 1, 1, 'renewed by its session']]],
    [
      'one that was renewed near its last end, by its first life',
      { expire_time: timeOf(AT + 24 * HOUR) },
      true,
      [['login', 'ends', 24, 1, 'renewed by its session']],
    ],
    ['a root token', { expire_time: null, creation_ttl: 0 }, true, [['login', 'none', 'a token without an end']]],
    [
      'the end that no renewal moves, where a login replaces the token',
      { explicit_max_ttl: 36_000 },
      true,
      [['login', 'ends', 1, 1, 'renewed by its session']],
    ],
    [
      'the end that no renewal moves, where nothing replaces the token',
      { explicit_max_ttl: 36_000 },
      false,
      [
        ['login', 'ends', 1, 1, 'renewed by its session'],
        ['login, at most', 'ends', 10, 10, 'no renewal moves this end'],
      ],
    ],
    [
      'a time that cannot be read',
      { expire_time: 'soon' },
      true,
      [['login', 'unreadable', 'Vault gave no time that can be read']],
    ],
  ];
  for (const [what, changes, replaced, wanted] of tokens) {
    it(`reads ${what}`, async () => {
      const caller = new Caller({ 'lookup-self': token(changes) });
      expect(await short(vaultToken(caller, 'login', replaced))).to.deep.equal(wanted);
    });
  }

  const NAME = 'auth/approle/role/service';
  const secretIds: readonly (readonly [string, JsonObject | Error, readonly unknown[]])[] = [
    [
      'when it ends',
      {
        data: {
          creation_time: timeOf(AT),
          expiration_time: timeOf(AT + 240 * HOUR),
          secret_id_num_uses: 0,
          secret_id_ttl: 864_000,
        },
      },
      [NAME, 'ends', 240, 240, 'logins fail after its end'],
    ],
    [
      'how often it is good for a login',
      {
        data: {
          creation_time: timeOf(AT),
          expiration_time: timeOf(AT + HOUR),
          secret_id_num_uses: 3,
          secret_id_ttl: 3_600,
        },
      },
      [NAME, 'ends', 1, 1, '3 uses left; logins fail after its end'],
    ],
    [
      'that it has no end',
      {
        data: {
          creation_time: timeOf(AT),
          expiration_time: '0001-01-01T00:00:00Z',
          secret_id_num_uses: 0,
          secret_id_ttl: 0,
        },
      },
      [NAME, 'none', 'a secret_id without an end'],
    ],
    ['that it is over', {}, [NAME, 'unusable', 'Vault knows no such secret_id (any more)']],
    [
      'that it is over, by another answer',
      new RemoteError('vault', 'NotFound', 'no'),
      [NAME, 'unusable', 'Vault knows no such secret_id (any more)'],
    ],
  ];
  for (const [what, answer, wanted] of secretIds) {
    it(`reads of a secret_id ${what}`, async () => {
      const caller = new Caller({ 'lookup-self': token({ meta: { role_name: 'service' } }), lookup: answer });
      expect(await short(vaultSecretId(caller, { mount: 'approle', secretIdFile }))).to.deep.equal([wanted]);
      expect(caller.seen.at(-1)).to.deep.include({
        path: ['auth', 'approle', 'role', 'service', 'secret-id', 'lookup'],
        body: { secret_id: SECRET_ID },
      });
    });
  }

  it('never has a refused look-up cost a login, which may be one of a few', async () => {
    const refused = new RemoteError('vault', 'Forbidden', 'permission denied', { status: 403 });
    const caller = new Caller({ 'lookup-self': token({ meta: { role_name: 'service' } }), lookup: refused });
    const source = vaultSecretId(caller, { mount: 'approle', secretIdFile });
    expect(await failureOf(source.read(never))).to.equal(refused);
    expect(caller.seen.map(({ mayBeRefused }) => mayBeRefused)).to.deep.equal([true, true]);
  });

  it('says that a token is of no role, and that there is no file', async () => {
    const answers = { 'lookup-self': token({ meta: null }) };
    const options = { mount: 'approle', secretIdFile };
    expect(await failureOf(vaultSecretId(new Caller(answers), options).read(never))).to.include({ code: 'Unreadable' });
    const ofRole = new Caller({ 'lookup-self': token({ meta: { role_name: 'service' } }) });
    const gone = { ...options, secretIdFile: join(dir, 'gone') };
    expect(String(await failureOf(vaultSecretId(ofRole, gone).read(never)))).to.include('ENOENT');
  });
});
