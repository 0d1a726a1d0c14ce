import { expect } from 'chai';
import { message, stored } from '../../scripts/bench/storage-format.ts';

const hex = (bytes: Buffer): string => bytes.toString('hex');

describe('objects as they lie in etcd', () => {
  // https://protobuf.dev/programming-guides/encoding/
  it('have numbers as varints', () => {
    expect(hex(message([1, 150]))).to.equal('089601');
    expect(hex(message([1, 127]))).to.equal('087f');
    expect(hex(message([1, 128]))).to.equal('088001');
    expect(hex(message([8, 0]))).to.equal('4000');
    // A time of after 2038 in seconds.
    expect(hex(message([1, 4_294_967_296]))).to.equal('088080808010');
  });

  it('have texts and messages with their length in bytes', () => {
    expect(hex(message([2, 'testing']))).to.equal('120774657374696e67');
    expect(hex(message([3, message([1, 150])]))).to.equal('1a03089601');
    expect(hex(message([17, 'ü']))).to.equal('8a0102c3bc');
    expect(message([1, 'x'.repeat(200)]).subarray(0, 3)).to.deep.equal(Buffer.from('0ac801', 'hex'));
  });

  it('have their kind in front', () => {
    expect(hex(stored('v1', 'Pod', Buffer.from([8, 1])))).to.equal('6b3873000a090a0276311203506f6412020801');
  });
});
