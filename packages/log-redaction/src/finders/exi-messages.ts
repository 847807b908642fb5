/**
 * Messages of ISO 15118 as a car sent them (EXI), in base64 or hexadecimal digits: EVCCID, contract certificate and meter values
 * are all in there. OCPP 2.x `Get15118EVCertificate`, OCPP 1.6 Plug & Charge `DataTransfer`, and EVerest's session logs in HTML.
 */
import type { Finder, Line, Secret } from '../finder.js';
import { matchesOf, memberValues } from './quoted.js';

const members = memberValues('exi_?(?:request|response)|(?:exi|xml|v2g)_?(?:hex|base64)');
const CELL = /<pre lang="xml">([0-9a-f]{8,}|[a-z0-9+/]{8,}={0,2})<\/pre>/gi;

function find({ text, at }: Line, onSecret: (secret: Secret) => void): void {
  for (const [from, to] of members(text)) onSecret({ from: at + from, to: at + to });
  for (const match of matchesOf(CELL, text)) {
    const from = at + match.index + match[0].indexOf('>') + 1;
    onSecret({ from, to: from + (match[1]?.length ?? 0) });
  }
}

export const exiMessages: Finder = {
  rule: 'exi_messages',
  tag: 'exi',
  marks: [
    'exirequest',
    'exi_request',
    'exiresponse',
    'exi_response',
    'exihex',
    'exi_hex',
    'exibase64',
    'exi_base64',
    'xml_hex',
    'xml_base64',
    'xmlhex',
    'xmlbase64',
    'v2g_hex',
    'v2g_base64',
    'pre lang="xml"',
  ],
  find,
};
