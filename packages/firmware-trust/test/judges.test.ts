import type { ChainVerdict } from '@khumbu/firmware-trust/chain';
import { createJudges, type JudgeLimits, type Judgement } from '@khumbu/firmware-trust/judges';
import type { TrustMaterial } from '@khumbu/firmware-trust/roots';
import t, { type Test } from 'tap';
import { CODE_SIGNING, certificate, certificatesIn, crlsIn, EXT, ecKeys, revocationList } from './make-certificate.js';

const PATIENT = { answerMs: 60_000, runMs: 60_000 };
const POLICY = { strength: 'ocpp', revocationUnknown: 'accept' } as const;
const STUCK = new URL('./fixture-stuck-judge.js', import.meta.url);
const NOTHING: TrustMaterial = { roots: [], crls: [] };

function open(t: Test, material: () => TrustMaterial, limits: Partial<JudgeLimits>, script?: URL) {
  const errors: object[] = [];
  const log = { error: (what: object) => void errors.push(what), debug: () => undefined };
  const options = { material, policy: POLICY, log: log as never, limits: { ...PATIENT, ...limits } };
  const judges = createJudges({ ...options, ...(script ? { script } : {}) });
  t.teardown(() => judges.close());
  const judge = (text: string, sender = 'a', rule: 'chain' | 'any' = 'chain'): Promise<Judgement> =>
    judges.judge({ text, rule, sender, now: NOW });
  return { judges, judge, errors };
}
const verdictOf = (judgement: Judgement): ChainVerdict | undefined =>
  'verdict' in judgement ? judgement.verdict : undefined;
const why = (judgement: Judgement): string => ('undecided' in judgement ? judgement.undecided : '');

const NOW = new Date();
const root = ecKeys();
const rootOf = (subject: string): string =>
  certificate({ subject, issuer: subject, keys: root, by: root, extensions: [EXT.ca()] });
const leaf = certificate({
  subject: 'CN=leaf',
  issuer: 'CN=root',
  keys: ecKeys(),
  by: root,
  serial: 77,
  extensions: [EXT.purposes(CODE_SIGNING)],
});
const roots = certificatesIn(rootOf('CN=root'));
const crlOf = (serials: number[]) => {
  const text = revocationList({ issuer: 'CN=root', by: root, revoked: serials.map((serial) => ({ serial })) });
  return crlsIn(text);
};

void t.test('a thread judges as it is done in place, and by what the files say now', async (t) => {
  let material: TrustMaterial = NOTHING;
  const { judge } = open(t, () => material, {});
  t.match(verdictOf(await judge(leaf)), { verdict: 'InvalidCertificate', reason: 'no_roots' });
  material = { roots, crls: [] };
  t.match(verdictOf(await judge(leaf)), { verdict: 'valid' });
  material = { roots, crls: crlOf([77]) };
  t.match(verdictOf(await judge(leaf)), { verdict: 'RevokedCertificate' });
  material = { roots, crls: crlOf([78]) };
  t.match(verdictOf(await judge(leaf)), { verdict: 'valid' });
  t.match(verdictOf(await judge('rubbish')), { reason: 'certificate_unreadable' });
  t.match(verdictOf(await judge(rootOf('CN=own'), 'a', 'any')), { verdict: 'valid' });
  t.match(verdictOf(await judge('rubbish', 'a', 'any')), { reason: 'certificate_unreadable' });
});

void t.test('a text that does not end is given up, its thread replaced, and others are judged meanwhile', async (t) => {
  const { judge, judges, errors } = open(t, () => NOTHING, { runMs: 2000 }, STUCK);
  await judges.warmUp();
  const stuck = judge('stuck', 'bad');
  const others = await Promise.all(['b', 'c', 'd'].map((sender) => judge(`fine ${sender}`, sender)));
  t.same(
    others.map((one) => verdictOf(one)?.verdict),
    ['valid', 'valid', 'valid'],
  );
  t.match(why(await stuck), /longer than 2000 ms/);
  t.match(why(await judge('stuck', 'another')), /longer than/, 'it is not tried again at once');
  t.match(verdictOf(await judge('fine', 'bad')), { verdict: 'valid' });
  t.equal(errors.length, 1);
});

void t.test('a text that ends its thread has no verdict, and the thread is replaced', async (t) => {
  const { judge, errors } = open(t, () => NOTHING, { threads: 1 }, STUCK);
  t.match(why(await judge('dies')), /as asked/);
  t.match(verdictOf(await judge('fine')), { verdict: 'valid' });
  t.equal(errors.length, 1);
});

void t.test('who waits too long hears so', async (t) => {
  const { judge } = open(t, () => NOTHING, { threads: 1, answerMs: 300 }, STUCK);
  const stuck = judge('stuck', 'bad');
  t.match(why(await judge('fine', 'other')), /within 300 ms/);
  t.match(why(await stuck), /within 300 ms/);
});

void t.test('one that sends many delays another by one of them, and only so many wait', async (t) => {
  const limits = { threads: 1, waitingOfOne: 20, waitingInAll: 25 };
  const { judge, judges } = open(t, () => NOTHING, limits, STUCK);
  await judges.warmUp();
  const order: string[] = [];
  const note = async (text: string, sender: string): Promise<string> => {
    const judgement = await judge(text, sender);
    order.push(sender);
    return why(judgement);
  };
  const many = Array.from({ length: 30 }, (_, n) => note(`slow ${n}`, 'greedy'));
  const other = note('fine', 'modest');
  const whys = await Promise.all(many);
  t.equal(await other, '');
  t.equal(whys.filter((one) => /too many/.test(one)).length, 9, 'one is worked on, twenty wait');
  const served = order.slice(9);
  t.ok(served.indexOf('modest') <= 2, served.join(' '));
});

void t.test('one that sends much has one thread at a time', async (t) => {
  const { judge, judges } = open(t, () => NOTHING, { runMs: 3000 }, STUCK);
  await judges.warmUp();
  const stuck = ['stuck 1', 'stuck 2', 'stuck 3'].map((text) => judge(text, 'bad'));
  t.match(verdictOf(await judge('fine', 'other')), { verdict: 'valid' });
  t.match(verdictOf(await judge('fine too', 'other')), { verdict: 'valid' });
  for (const one of stuck.slice(0, 1)) t.match(why(await one), /longer/);
  await judges.close();
  for (const one of stuck.slice(1)) t.match(why(await one), /stopping/);
});

void t.test('a text that many send at once is judged once', async (t) => {
  const { judge } = open(t, () => NOTHING, { threads: 1, waitingInAll: 1 }, STUCK);
  const all = await Promise.all(Array.from({ length: 1000 }, (_, n) => judge('slow', `station ${n}`)));
  t.ok(all.every((one) => verdictOf(one)?.verdict === 'valid'));
});

void t.test('judging keeps the thread that asks free', async (t) => {
  const { judge, judges } = open(t, () => NOTHING, { runMs: 2000 }, STUCK);
  await judges.warmUp();
  let turns = 0;
  let over = false;
  const stuck = judge('stuck').finally(() => {
    over = true;
  });
  while (!over) {
    turns += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.match(why(await stuck), /longer/);
  t.ok(turns > 100, `${turns} turns of the loop`);
});
