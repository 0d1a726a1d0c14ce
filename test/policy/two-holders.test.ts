/** Who renews with what, over time: records as they grow, and what the policy says of each renewal. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { emptyRecord, type NodeRecord } from '../../src/nodes/node-record.ts';
import { withClientCertificate } from '../../src/nodes/record-changes.ts';
import { formatRecord, readShard } from '../../src/nodes/record-format.ts';
import { review } from '../../src/policy/review.ts';
import { codesOf, NODE, NOW, ruleInput } from './good-request.ts';

const HOUR = 3_600_000;
const TOKEN_USER = { username: 'system:bootstrap:abcdef', groups: ['system:bootstrappers'] };
const NODE_USER = { username: `system:node:${NODE}`, groups: ['system:nodes'] };

/** One node name, and what is on record of it after each certificate. */
class Story {
  record: NodeRecord = emptyRecord(NODE);
  now = NOW;
  #made = 0;

  /** A first certificate; answers its fingerprint. */
  bootstrap(): string {
    return this.#issue(undefined);
  }

  /** A renewal with that certificate; answers what the policy says of it in `strict`, and the new one. */
  renew(presented: string): { readonly codes: readonly string[]; readonly next: string } {
    const extra = { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${presented}`] };
    const facts = { now: this.now, record: { known: true, value: this.record } } as const;
    const csr = { createdAt: this.now };
    const verdict = review(
      ruleInput('renewal', { requester: { extra }, facts, csr, policy: { credentials: 'strict' } }),
    );
    return { codes: codesOf(verdict), next: this.#issue(presented) };
  }

  #issue(presented: string | undefined): string {
    this.#made += 1;
    this.now += HOUR;
    const fingerprint = String(this.#made).padStart(64, '0');
    const changed = withClientCertificate(this.record, {
      createdAt: this.now - HOUR,
      requester: presented === undefined ? TOKEN_USER : NODE_USER,
      certificate: {
        fingerprint,
        key: fingerprint,
        commonName: `system:node:${NODE}`,
        serial: '01',
        notBefore: this.now,
        notAfter: this.now + 24 * HOUR,
        issuer: '',
        addresses: [],
      },
      presented,
      vouched: undefined,
    });
    // As it comes back after a restart.
    const stored = readShard({ [NODE]: formatRecord(changed) }).get(NODE);
    if (stored?.known !== true) throw new Error('it is not as it was written');
    this.record = stored.value;
    return fingerprint;
  }
}

describe('policy: two holders of one identity', () => {
  it('one kubelet renews for ever', () => {
    const story = new Story();
    let held = story.bootstrap();
    for (let round = 0; round < 10; round += 1) {
      const { codes, next } = story.renew(held);
      expect(codes, String(round)).to.deep.equal([]);
      held = next;
    }
  });

  it('one kubelet whose replies get lost asks again and again, and goes on with any of the answers', () => {
    for (const kept of [0, 1, 2, 3]) {
      const story = new Story();
      const held = story.bootstrap();
      const nexts = [0, 1, 2, 3].map(() => {
        const { codes, next } = story.renew(held);
        expect(codes).to.deep.equal([]);
        return next;
      });
      // Of the older answers those before the last two are not on record any more.
      if (kept < 2) continue;
      expect(story.renew(nexts[kept] ?? '').codes, `answer ${kept}`).to.deep.equal([]);
    }
  });

  it('one kubelet is set up anew with a token, and renews with what it got for that', () => {
    const story = new Story();
    const { next } = story.renew(story.bootstrap());
    story.renew(next);
    const fresh = story.bootstrap();
    const { codes, next: renewed } = story.renew(fresh);
    expect([codes, story.renew(renewed).codes]).to.deep.equal([[], []]);
  });

  it('a copied certificate: both have renewed it, and whoever renews second after that conflicts', () => {
    for (const honestFirst of [true, false]) {
      const story = new Story();
      const copied = story.bootstrap();
      const [thief, honest] = [story.renew(copied).next, story.renew(copied).next];
      const [first, second] = honestFirst ? [honest, thief] : [thief, honest];
      expect(story.renew(first).codes).to.deep.equal([]);
      expect(story.renew(second).codes, `honest first: ${honestFirst}`).to.deep.equal(['CredentialConflict']);
    }
  });

  it('a token that two used before one was seen: whoever renews second conflicts', () => {
    const story = new Story();
    const [one, other] = [story.bootstrap(), story.bootstrap()];
    expect(story.renew(one).codes).to.deep.equal([]);
    expect(story.renew(other).codes).to.deep.equal(['CredentialConflict']);
  });
});
