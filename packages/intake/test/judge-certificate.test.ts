import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createJudges } from '@khumbu/firmware-trust/judges';
import { openTrustStore } from '@khumbu/firmware-trust/roots';
import { makeAuthority } from '@khumbu/test-support/certificates';
import t from 'tap';
import { createJudgeCertificate } from '../src/judge-certificate.js';
import { profile, UPDATE } from './fixtures.js';

void t.test('the certificate of a request is judged by the station’s rule', async (t) => {
  const dir = t.testdir();
  const root = await makeAuthority(join(dir, 'root'));
  const other = await makeAuthority(join(dir, 'other'), 'Other');
  const leaf = await root.issue({ name: 'leaf' });
  const withdrawn = await root.issue({ name: 'withdrawn' });
  const stranger = await other.issue({ name: 'stranger' });
  await root.revoke(withdrawn);
  const crlFile = join(dir, 'crl.pem');
  await writeFile(crlFile, await root.crl());
  const reports = { usable: () => undefined, unusable: () => undefined };
  const trust = openTrustStore({ rootsFile: root.certificateFile, crlFile }, reports);
  t.teardown(() => trust.close());
  const nothing = openTrustStore({}, reports);
  t.teardown(() => nothing.close());
  const now = new Date();
  const policy = { strength: 'ocpp', revocationUnknown: 'accept' } as const;
  const patient = { answerMs: 20_000, runMs: 20_000 };
  const log = { error: () => undefined, debug: () => undefined, warn: () => undefined };
  const judgesOf = new Map(
    [trust, nothing].map((store) => {
      const judges = createJudges({ material: () => store.current(), policy, log, limits: patient });
      t.teardown(() => judges.close());
      return [store, judges];
    }),
  );
  const judge = (pem: string | undefined, rule: 'chain' | 'any', store = trust, at = now) => {
    const request = { ...UPDATE, ...(pem === undefined ? {} : { signing_certificate: pem, signature: 'x' }) };
    const judges = judgesOf.get(store);
    if (!judges) throw new TypeError('no judges of this store');
    const requester = { station: 'a', origin: 'everest' } as const;
    return createJudgeCertificate({ judges, now: () => at, log })(request, profile({ certificate: rule }), requester);
  };
  t.equal(await judge(undefined, 'chain'), undefined);
  t.equal(await judge('', 'chain'), undefined);
  t.same(await judge(leaf.certificatePem, 'chain'), { ok: true });
  t.same(await judge(leaf.certificatePem.replaceAll('\n', '\\n'), 'chain'), { ok: true }, 'literal \\n');
  t.match(await judge(withdrawn.certificatePem, 'chain'), { response: 'RevokedCertificate', reason: 'revoked' });
  t.match(await judge(stranger.certificatePem, 'chain'), { response: 'InvalidCertificate', reason: 'untrusted' });
  t.match(await judge(leaf.certificatePem, 'chain', nothing), { response: 'InvalidCertificate', reason: 'no_roots' });
  t.match(await judge('rubbish', 'chain'), { response: 'InvalidCertificate', reason: 'certificate_unreadable' });
  t.match(await judge(leaf.certificatePem, 'chain', trust, new Date('2000-01-01')), { reason: 'clock_insane' });
  t.same(await judge(stranger.certificatePem, 'any'), { ok: true });
  t.match(await judge('rubbish', 'any'), { response: 'InvalidCertificate', reason: 'certificate_unreadable' });
});
