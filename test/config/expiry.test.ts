import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readConfig } from '../../src/config.ts';
import { LEAST, problemsOf, withValues } from '../support/config-text.ts';

describe('config: expiry', () => {
  it('has defaults, and is on', () => {
    expect(readConfig('config.yaml', LEAST).expiry).to.deep.equal({
      enabled: true,
      interval: 3_600_000,
      warning: 2_592_000_000,
      critical: 604_800_000,
      secretNamespaces: [],
      kubeconfigs: [],
      files: [],
    });
  });

  it('does not take an alarm before the warning, nor what is no namespace', () => {
    expect(problemsOf(withValues({ 'expiry.warning': '24h' }))).to.deep.equal([
      { path: 'expiry.critical', message: 'must not be more than expiry.warning' },
    ]);
    expect(
      problemsOf(withValues({ 'expiry.secretNamespaces': ['a/b'], 'expiry.interval': '1s' })).map(({ path }) => path),
    ).to.deep.equal(['expiry.interval', 'expiry.secretNamespaces.0']);
  });
});
