/** An FTP server that does what a test says, where the real ones do as they should: it ignores, lies, stalls and breaks off. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import type { IssuedCertificate } from './certificates.js';

export interface FtpScript {
  /** In place of its own reply; `''`: none at all. `undefined`: its own. */
  readonly answer?: (command: string, argument: string) => string | undefined;
  /** Instead of a greeting. */
  readonly greeting?: string;
  readonly ignoresRest?: boolean;
  /** Content begins so many bytes behind the place that was asked for. */
  readonly skew?: number;
  readonly bytesPerSecond?: number;
  /** After so many bytes of content the data connection is reset, and then the control connection closed. */
  readonly cutAt?: number;
  /** After so many bytes of content nothing comes any more. */
  readonly stallAt?: number;
  /** After so many bytes the server says that this was all. */
  readonly endsAt?: number;
  /** Sent behind the content. */
  readonly surplus?: Buffer;
  /** Called when content was sent, before its last reply. */
  readonly onSent?: () => void;
  /** Of a download; `''`: none. */
  readonly lastReply?: string;
  /** After so many bytes an upload is read no further, and this is the last reply. */
  readonly refuseAt?: { readonly bytes: number; readonly reply: string };
  /** So many of the bytes that come are lost, and nobody is told. */
  readonly loses?: number;
}

export interface StoredFile {
  bytes: Buffer;
  modified: string;
}

const OLD = '20200102030405';
const PIECE_BYTES = 16 * 1024;

class Conversation {
  readonly #socket: Socket;
  readonly #server: ScriptedFtp;
  readonly #script: FtpScript;
  #data: Promise<Socket> | undefined;
  #listener: Server | undefined;
  #rest = 0;
  #renamed = '';

  constructor(socket: Socket, server: ScriptedFtp) {
    this.#socket = socket;
    this.#server = server;
    this.#script = server.next.shift() ?? server.script;
    socket.on('error', () => {});
    socket.on('close', () => this.#listener?.close());
    let text = '';
    let turn = Promise.resolve();
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      const lines = text.split('\r\n');
      text = lines.pop() ?? '';
      for (const line of lines) turn = turn.then(() => this.#take(line));
    });
    this.#say(this.#script.greeting ?? '220 ready');
  }

  #say(reply: string): void {
    if (reply !== '' && this.#socket.writable) this.#socket.write(`${reply}\r\n`);
  }

  async #take(line: string): Promise<void> {
    const [, command = '', argument = ''] = /^(\S+) ?(.*)$/.exec(line) ?? [];
    this.#server.commands.push(command === 'PASS' ? 'PASS' : line);
    const scripted = this.#script.answer?.(command, argument);
    if (scripted !== undefined) return this.#say(scripted);
    const reply = await this.#answer(command, argument);
    if (reply !== undefined) this.#say(reply);
  }

  async #answer(command: string, argument: string): Promise<string | undefined> {
    const { files } = this.#server;
    const file = files.get(argument);
    switch (command) {
      case 'USER':
        return '331 password';
      case 'PASS':
        return '230 in';
      case 'PBSZ':
      case 'PROT':
        return this.#server.connects === 'connection' ? '502 no TLS' : '200 ok';
      case 'TYPE':
      case 'CWD':
        return command === 'CWD' && file ? '550 not a folder' : '250 ok';
      case 'SIZE':
        return file ? `213 ${file.bytes.length}` : '550 no such file';
      case 'MDTM':
        return file ? `213 ${file.modified}` : '550 no such file';
      case 'EPSV':
        return `229 Entering Extended Passive Mode (|||${await this.#listen()}|)`;
      case 'PASV': {
        const port = await this.#listen();
        // An address that is not ours, as behind NAT.
        return `227 Entering Passive Mode (10,20,30,40,${port >> 8},${port & 255})`;
      }
      case 'REST':
        this.#rest = Number(argument);
        return '350 go on';
      case 'RETR':
        if (!file) return '550 no such file';
        return this.#send(file.bytes);
      case 'STOR':
        return this.#receive(argument);
      case 'RNFR':
        this.#renamed = argument;
        return file ? '350 to what' : '550 no such file';
      case 'RNTO': {
        files.set(argument, files.get(this.#renamed) as StoredFile);
        files.delete(this.#renamed);
        return '250 renamed';
      }
      case 'DELE':
        return files.delete(argument) ? '250 deleted' : '550 no such file';
      case 'QUIT':
        this.#socket.end('221 bye\r\n');
        return undefined;
      default:
        return '502 not implemented';
    }
  }

  async #listen(): Promise<number> {
    this.#listener?.close();
    const listener = this.#server.listener({ allowHalfOpen: true });
    this.#listener = listener;
    this.#data = once(listener, this.#server.connects).then(([socket]) => {
      (socket as Socket).on('error', () => {});
      return socket as Socket;
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return (listener.address() as AddressInfo).port;
  }

  async #send(content: Buffer): Promise<string | undefined> {
    const script = this.#script;
    const data = (await this.#data) as Socket;
    this.#say('150 here it comes');
    const from = script.ignoresRest ? 0 : this.#rest + (this.#rest > 0 ? (script.skew ?? 0) : 0);
    this.#rest = 0;
    const end = script.cutAt ?? script.stallAt ?? script.endsAt ?? content.length;
    const bytes = content.subarray(from, from + end);
    const { bytesPerSecond } = script;
    const atOnce = bytesPerSecond ? PIECE_BYTES : bytes.length || 1;
    for (let at = 0; at < bytes.length && !data.destroyed; at += atOnce) {
      const piece = bytes.subarray(at, at + atOnce);
      await new Promise<void>((resolve) => data.write(piece, () => resolve()));
      this.#server.sent += piece.length;
      if (bytesPerSecond) await delay((piece.length / bytesPerSecond) * 1000);
    }
    if (script.stallAt !== undefined) return undefined;
    if (script.cutAt !== undefined) {
      data.end();
      this.#socket.destroy();
      return undefined;
    }
    if (script.surplus) data.write(script.surplus);
    script.onSent?.();
    data.end();
    await new Promise<void>((resolve) => data.once('close', resolve).resume());
    return script.lastReply ?? '226 all sent';
  }

  async #receive(name: string): Promise<string | undefined> {
    const { files } = this.#server;
    const script = this.#script;
    const data = (await this.#data) as Socket;
    this.#say('150 send it');
    const pieces: Buffer[] = [];
    let bytes = 0;
    let error: Error | undefined;
    data.on('error', (reset) => {
      error = reset;
    });
    const file: StoredFile = { bytes: Buffer.alloc(0), modified: OLD };
    files.set(name, file);
    const ended = new Promise<void>((resolve) => {
      data.once('close', () => resolve()).once('end', () => resolve());
      data.on('data', (piece: Buffer) => {
        pieces.push(piece);
        bytes += piece.length;
        file.bytes = Buffer.concat(pieces);
        this.#server.onReceived(bytes);
        if (script.refuseAt && bytes >= script.refuseAt.bytes) resolve();
      });
    });
    await ended;
    if (script.refuseAt && bytes >= script.refuseAt.bytes) {
      data.resetAndDestroy();
      return script.refuseAt.reply;
    }
    if (script.loses) file.bytes = file.bytes.subarray(0, -script.loses);
    data.end();
    return error ? '426 broken off' : '226 got it';
  }
}

export class ScriptedFtp {
  /** Of a connection, from its beginning on. */
  script: FtpScript = {};
  /** Of the next connections, in order; `script` after them. */
  next: FtpScript[] = [];
  /** Bytes of content that were sent. */
  sent = 0;
  readonly files = new Map<string, StoredFile>();
  /** What clients sent, in order; without passwords. */
  readonly commands: string[] = [];
  /** Called with the bytes of an upload that have come. */
  onReceived: (bytes: number) => void = () => {};
  /** How connections of its listeners are told. */
  readonly connects: 'connection' | 'secureConnection';
  readonly #tls: Pick<IssuedCertificate, 'keyPem' | 'certificatePem'> | undefined;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(tls: IssuedCertificate | undefined) {
    this.#tls = tls;
    this.connects = tls ? 'secureConnection' : 'connection';
    this.#server = this.listener();
  }

  /** With a certificate: TLS from the first byte on. */
  static async start(tls?: IssuedCertificate): Promise<ScriptedFtp> {
    const ftp = new ScriptedFtp(tls);
    ftp.#server.on(ftp.connects, (socket: Socket) => {
      ftp.#open.add(socket);
      socket.once('close', () => ftp.#open.delete(socket));
      new Conversation(socket, ftp);
    });
    ftp.#server.listen(0, '127.0.0.1');
    await once(ftp.#server, 'listening');
    return ftp;
  }

  /** For control, or for data. */
  listener(options: { readonly allowHalfOpen?: boolean } = {}): Server {
    const tls = this.#tls;
    return tls ? createTlsServer({ ...options, key: tls.keyPem, cert: tls.certificatePem }) : createServer(options);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  put(name: string, bytes: Buffer, modified = OLD): void {
    this.files.set(name, { bytes, modified });
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }
}
