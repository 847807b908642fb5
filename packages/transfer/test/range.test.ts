import t from 'tap';
import type { Validators } from '../src/port.js';
import {
  conditionalHeaders,
  decideResponse,
  type Held,
  isRestEnough,
  mayPass,
  strongValidators,
} from '../src/schemes/http/content-range.js';

const DATE = 'Sun, 22 Nov 2026 10:00:00 GMT';
const EARLIER = 'Sun, 22 Nov 2026 09:59:59 GMT';
const A = '"a"';
const half: Held = { offset: 50, overlap: 10, total: 100, validators: { etag: A } };
const whole: Held = { ...half, offset: 100 };
const coded: Held = { ...half, coding: 'gzip' };
const dated: Held = { ...half, validators: { lastModified: EARLIER } };
const both: Held = { ...half, validators: { etag: A, lastModified: EARLIER } };
const datedWhole: Held = { ...both, offset: 100 };
const LONG = { 'content-length': '100' };
/** Of what has told no size. */
const endless: Held = { offset: 50, overlap: 10, validators: { etag: A } };
type Headers = Record<string, string>;
const decide = (status: number, headers: Headers, held?: Held, known?: Validators) =>
  decideResponse({ status, headers: { date: DATE, ...headers } }, { held, known, nowMs: Date.parse(DATE) });
const kind = (...args: Parameters<typeof decide>): string => {
  const decision = decide(...args);
  return decision.kind === 'fail' ? `${decision.reason}${decision.retryable ? ' again' : ''}` : decision.kind;
};
const part = (range: string, more: Headers = {}): Headers => ({ etag: A, 'content-range': range, ...more });

void t.test('which validators are strong', async (t) => {
  const of = (headers: Headers) => strongValidators({ status: 200, headers });
  t.same(of({ etag: A }), { etag: A });
  t.same(of({ etag: 'W/"a"' }), {});
  t.same(of({ etag: 'unquoted' }), {});
  t.same(of({ 'last-modified': EARLIER, date: DATE }), { lastModified: EARLIER });
  t.same(of({ 'last-modified': DATE, date: DATE }), {}, 'the same second');
  t.same(of({ 'last-modified': EARLIER }), {}, 'no Date, no proof');
  t.same(of({ 'last-modified': 'yesterday', date: DATE }), {});
});

void t.test('what is asked', async (t) => {
  const identity = { 'accept-encoding': 'identity' };
  t.same(conditionalHeaders(undefined, undefined), identity);
  t.same(conditionalHeaders(half, undefined), { ...identity, range: 'bytes=40-', 'if-range': A });
  t.same(conditionalHeaders(dated, undefined), { ...identity, range: 'bytes=40-', 'if-range': EARLIER });
  t.same(conditionalHeaders({ ...half, validators: {} }, undefined), identity, 'nothing to hold it against');
  t.same(conditionalHeaders({ ...half, overlap: 0 }, undefined), identity, 'no bytes to hold it against');
  t.same(conditionalHeaders({ ...half, overlap: 50 }, undefined), identity, 'all of it would come again');
  t.same(conditionalHeaders(whole, undefined), { ...identity, range: 'bytes=90-', 'if-range': A });
  t.same(conditionalHeaders(half, { etag: '"old"' }), {
    ...identity,
    'if-none-match': '"old"',
    range: 'bytes=40-',
    'if-range': A,
  });
  t.same(conditionalHeaders(undefined, { etag: A, lastModified: EARLIER }), { ...identity, 'if-none-match': A });
  t.same(conditionalHeaders(undefined, { etag: 'W/"a"' }), identity);
  t.same(conditionalHeaders(undefined, { lastModified: EARLIER }), { ...identity, 'if-modified-since': EARLIER });
});

void t.test('what the answer means', async (t) => {
  const cases: [string, string, Parameters<typeof decide>][] = [
    ['the rest', 'resume', [206, part('bytes 40-99/100'), half]],
    ['a portion of the rest', 'resume', [206, part('bytes 40-69/100'), half]],
    ['a portion with one byte of it', 'resume', [206, part('bytes 40-50/100'), half]],
    ['a portion that is held already', 'changed', [206, part('bytes 40-49/100'), half]],
    ['unknown total', 'resume', [206, part('bytes 40-99/*'), half]],
    ['all held, as it turns out', 'resume', [206, part('bytes 40-49/50'), endless]],
    ['all held', 'resume', [206, part('bytes 90-99/100'), whole]],
    ['all held, and it goes on', 'changed', [206, part('bytes 90-119/120'), whole]],
    ['less than what is held', 'changed', [206, part('bytes 40-44/45'), endless]],
    ['no ETag in the 206', 'resume', [206, { 'content-range': 'bytes 40-99/100' }, half]],
    ['by date', 'resume', [206, { 'content-range': 'bytes 40-99/100', 'last-modified': EARLIER }, dated]],
    ['by date, another', 'changed', [206, { 'content-range': 'bytes 40-99/100', 'last-modified': DATE }, dated]],
    ['wrong start', 'changed', [206, part('bytes 39-99/100'), half]],
    ['without the overlap', 'changed', [206, part('bytes 50-99/100'), half]],
    ['from the beginning', 'changed', [206, part('bytes 0-99/100'), half]],
    ['another total', 'changed', [206, part('bytes 40-119/120'), half]],
    ['end behind the total', 'changed', [206, part('bytes 40-100/100'), half]],
    ['end before the start', 'changed', [206, part('bytes 40-39/100'), half]],
    ['another ETag', 'changed', [206, part('bytes 40-99/100', { etag: '"b"' }), half]],
    ['one ETag for all, another date', 'changed', [206, part('bytes 40-99/100', { 'last-modified': DATE }), both]],
    ['the same ETag and date', 'resume', [206, part('bytes 40-99/100', { 'last-modified': EARLIER }), both]],
    ['weak ETag', 'changed', [206, part('bytes 40-99/100', { etag: 'W/"a"' }), half]],
    ['multipart', 'changed', [206, { 'content-type': 'multipart/byteranges; boundary=x' }, half]],
    ['other unit', 'changed', [206, part('lines 40-99/100'), half]],
    ['nobody asked', 'bad_response again', [206, part('bytes 40-99/100')]],
    ['a part of another coding', 'changed', [206, part('bytes 40-99/100', { 'content-encoding': 'gzip' }), half]],
    ['a part of the same coding', 'resume', [206, part('bytes 40-99/100', { 'content-encoding': 'gzip' }), coded]],
    ['a part that leaves its coding out', 'resume', [206, part('bytes 40-99/100'), coded]],
    ['a part with a remark', 'resume', [206, part('bytes 40-99/100', { 'content-encoding': 'aws-chunked' }), half]],
    ['labelled', 'start_anew', [200, { 'content-encoding': 'gzip' }]],
    ['compressed for the transfer', 'transfer_encoding', [200, { 'transfer-encoding': 'gzip, chunked' }]],
    ['chunked', 'start_anew', [200, { 'transfer-encoding': 'chunked' }]],
    ['identity', 'start_anew', [200, { 'content-encoding': 'identity' }]],
    ['whole instead of range', 'start_anew', [200, { etag: A }, half]],
    ['whole, changed', 'start_anew', [200, { etag: '"b"' }, half, { etag: A }]],
    ['200 with the known ETag', 'unchanged', [200, { etag: A }, undefined, { etag: A }]],
    ['200 with the known weak ETag', 'start_anew', [200, { etag: 'W/"a"' }, undefined, { etag: 'W/"a"' }]],
    ['200 with the ETag and the length of all we hold', 'complete', [200, { etag: A, ...LONG }, whole]],
    ['the same with its date', 'complete', [200, { etag: A, ...LONG, 'last-modified': EARLIER }, datedWhole]],
    ['one ETag for all, another date', 'start_anew', [200, { etag: A, ...LONG, 'last-modified': DATE }, datedWhole]],
    ['one ETag for all, another length', 'start_anew', [200, { etag: A, 'content-length': '101' }, whole]],
    ['one ETag for all, no length', 'start_anew', [200, { etag: A }, whole]],
    ['all we hold, of another coding', 'start_anew', [200, { etag: A, ...LONG, 'content-encoding': 'gzip' }, whole]],
    ['a weak ETag of all we hold', 'start_anew', [200, { etag: 'W/"a"', ...LONG }, whole]],
    ['304', 'unchanged', [304, {}, undefined, { etag: A }]],
    ['304 for what is known, whatever is held', 'unchanged', [304, {}, whole, { etag: '"old"' }]],
    ['304 to no question', 'http_304', [304, {}]],
    ['416 within what is held', 'changed', [416, { 'content-range': 'bytes */50' }, endless]],
    ['416, all held, other ETag', 'changed', [416, { etag: '"b"', 'content-range': 'bytes */100' }, whole]],
    ['416, shorter now', 'changed', [416, { 'content-range': 'bytes */40' }, half]],
    ['416, says our length, but it was longer', 'changed', [416, { 'content-range': 'bytes */50' }, half]],
    ['416, says nothing', 'changed', [416, {}, half]],
    ['416 to no range', 'http_416', [416, {}]],
    ['no content', 'http_204', [204, {}]],
    ...[400, 401, 403, 404, 410, 451].map((s): [string, string, [number, Headers]] => ['', `http_${s}`, [s, {}]]),
    ...[408, 425, 429, 500, 502, 503, 504].map((s): [string, string, [number, Headers, Held]] => [
      '',
      `http_${s} again`,
      [s, {}, half],
    ]),
  ];
  for (const [name, expected, args] of cases) t.equal(kind(...args), expected, `${args[0]} ${name}`);
  t.match(decide(206, part('bytes 40-99/*'), half), { offset: 50, total: 100 });
  t.same(decide(200, { etag: A, 'content-length': '7' }), { kind: 'start_anew', total: 7, validators: { etag: A } });
  t.same(decide(200, { 'content-length': '7x' }), { kind: 'start_anew', validators: {} });
  t.match(decide(503, { 'retry-after': '120' }), { retryAfterS: 120 });
  t.match(decide(503, { 'retry-after': 'Sun, 22 Nov 2026 10:01:30 GMT' }), { retryAfterS: 90 });
  t.match(decide(429, { 'retry-after': EARLIER }), { retryAfterS: 0 });
  t.notOk('retryAfterS' in decide(429, { 'retry-after': 'soon' }));
});

void t.test('what a plain answer means', async (t) => {
  const plainly = (status: number, headers: Headers, held?: Held, known?: Validators) =>
    decideResponse({ status, headers }, { held, known, isPlain: true, nowMs: 0 }).kind;
  t.equal(plainly(200, { etag: A }, half), 'start_anew');
  t.equal(plainly(200, { etag: A, ...LONG }, whole), 'complete');
  t.equal(plainly(200, { etag: A }, whole), 'start_anew');
  t.equal(plainly(200, { etag: A }, undefined, { etag: A }), 'unchanged');
  t.equal(plainly(206, part('bytes 40-99/100'), half), 'fail', 'nobody asked');
  t.equal(plainly(304, { etag: A }, undefined, { etag: A }), 'fail', 'nobody asked');
  t.equal(plainly(416, {}, half), 'fail');
});

void t.test('when the rest of what is held is asked for once more', async (t) => {
  const passing = [500, 502, 503, 504, 520];
  t.same([400, 403, 404, 412, 416, 501, 505, ...passing].filter(mayPass), passing);
  const same = { validators: { etag: A }, total: 100 };
  t.equal(isRestEnough(same, half), true);
  t.equal(isRestEnough(same, endless), true);
  t.equal(isRestEnough({ ...same, total: 101 }, half), false);
  t.equal(isRestEnough({ ...same, validators: { etag: '"b"' } }, half), false);
  t.equal(isRestEnough({ ...same, validators: {} }, half), false);
  t.equal(isRestEnough({ ...same, validators: { lastModified: EARLIER } }, dated), true);
  t.equal(isRestEnough({ ...same, validators: { lastModified: DATE } }, dated), false);
  t.equal(isRestEnough(same, { ...half, validators: {} }), false, 'nothing to hold it against');
  t.equal(isRestEnough(same, { ...half, overlap: 50 }), false, 'all of it would come again');
});
