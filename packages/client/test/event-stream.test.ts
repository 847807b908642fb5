import t from 'tap';
import { createEventParser } from '../src/event-stream.js';

const ROWS: { what: string; text: string; messages: object[] }[] = [
  {
    what: 'one',
    text: 'id: 1-0\nevent: operation\ndata: {}\n\n',
    messages: [{ id: '1-0', event: 'operation', data: '{}' }],
  },
  {
    what: 'a place without data',
    text: 'retry: 1000\nid: 7-0\n\n',
    messages: [{ id: '7-0', event: 'message', data: undefined }],
  },
  { what: 'a comment', text: ': keep-alive\n\n', messages: [] },
  {
    what: 'several lines of data',
    text: 'data: a\ndata: b\ndata\n\n',
    messages: [{ event: 'message', data: 'a\nb\n' }],
  },
  { what: 'no space behind the colon', text: 'data:x\n\n', messages: [{ event: 'message', data: 'x' }] },
  { what: 'one space is not part of it', text: 'data:  x\n\n', messages: [{ event: 'message', data: ' x' }] },
  {
    what: 'CR LF',
    text: 'data: x\r\n\r\ndata: y\r\n\r\n',
    messages: [
      { event: 'message', data: 'x' },
      { event: 'message', data: 'y' },
    ],
  },
  {
    what: 'CR alone',
    text: 'data: x\r\rdata: y\r\r:',
    messages: [
      { event: 'message', data: 'x' },
      { event: 'message', data: 'y' },
    ],
  },
  { what: 'an unknown field', text: 'colour: red\ndata: x\n\n', messages: [{ event: 'message', data: 'x' }] },
  { what: 'an id with NUL is none', text: 'id: a\0b\ndata: x\n\n', messages: [{ event: 'message', data: 'x' }] },
  { what: 'the rest of a broken stream', text: 'data: x\n\ndata: half', messages: [{ event: 'message', data: 'x' }] },
];

for (const { what, text, messages } of ROWS)
  void t.test(what, async (t) => {
    t.strictSame(createEventParser()(text), messages, 'at once');
    const parse = createEventParser();
    t.strictSame(
      text.split('').flatMap((letter) => parse(letter)),
      messages,
      'letter by letter',
    );
  });
