import { expect } from 'chai';
import { describe, it } from 'mocha';
import { examinationAsJson, examinationAsText } from '../../src/cli/doctor-output.ts';
import { accessClasses, type AccessRow } from '../../src/doctor/access-matrix.ts';
import { type Finding, finding } from '../../src/doctor/finding.ts';

const ROWS: AccessRow[] = accessClasses(['workers']).map((of, index) => ({
  of,
  missing: index === 2 ? { known: false, why: 'x' } : { known: true, value: index === 1 ? ['selfnodeclient'] : [] },
}));
const LONG = 'a right that is missing and takes more words to tell than there is room for in a cell of the table';
const FINDINGS: Finding[] = [
  finding('RightMissing', 'the service', LONG, 'kubectl apply'),
  finding('TokenReaders', 'Secrets', 'x'.repeat(70), 'Guard \u001b[31m them.'),
];

describe('cli/doctor-output', () => {
  it('prints the matrix, then each finding with its mend, wrapped', () => {
    expect(examinationAsText(ROWS, FINDINGS).split('\n')).to.deep.equal([
      'WHO                                 CREATES CSRS   APPROVED WITHOUT A HUMAN',
      'system:bootstrappers                yes            yes (nodeclient)',
      'system:nodes                        yes            no (selfnodeclient)',
      'system:bootstrappers:pool:workers   unknown        unknown (nodeclient)',
      '',
      `SEVERITY   WHAT          FOUND${' '.repeat(68)}TO MEND`,
      `ERROR      the service   a right that is missing and takes more${' '.repeat(35)}kubectl apply`,
      '                         words to tell than there is room for in',
      '                         a cell of the table',
      `INFO       Secrets       ${'x'.repeat(70)}   Guard  [31m them.`,
      '',
      '1 error, 0 warnings, 1 note',
      '',
    ]);
  });

  it('says so where nothing is wrong, and prints no matrix that it has not', () => {
    expect(examinationAsText([], [])).to.equal('0 errors, 0 warnings, 0 notes\n');
  });

  it('gives programs the same', () => {
    const json = JSON.parse(JSON.stringify(examinationAsJson(ROWS, FINDINGS))) as { access: unknown[] };
    expect(json).to.deep.include({ worst: 'error', findings: FINDINGS });
    expect(json.access[1]).to.deep.equal({
      who: 'system:nodes',
      createsCsrs: 'yes',
      approval: 'selfnodeclient',
      approved: 'no',
    });
    expect(examinationAsJson([], [])).to.deep.equal({ worst: 'none', access: [], findings: [] });
  });
});
