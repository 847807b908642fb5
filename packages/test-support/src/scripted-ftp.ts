/** An FTP server that does what a test says, where the real ones do as they should: it ignores, lies, stalls and breaks off. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export interface FtpScript {
  /** In place of its own reply; `''`: none at all. `undefined`: its own. */
  readonly answer?: (command: string, argument: string) => string | undefined;
  /** Instead of a greeting. */
  readonly greeting?: string;
  readonly ignoresRest?: boolean;
  /** After so many bytes of content the data connection is reset, and then the control connection closed. */
  readonly cutAt?: number;
  /** After so many bytes of content nothing comes any more. */
  readonly stallAt?: number;
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

class Conversation {
  readonly #socket: Socket;
  readonly #server: ScriptedFtp;
  #data: Promise<Socket> | undefined;
  #listener: Server | undefined;
  #rest = 0;
  #renamed = '';

  constructor(socket: Socket, server: ScriptedFtp) {
    this.#socket = socket;
    this.#server = server;
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
    this.#say(server.script.greeting ?? '220 ready');
  }

  #say(reply: string): void {
    if (reply !== '' && this.#socket.writable) this.#socket.write(`${reply}\r\n`);
  }

  async #take(line: string): Promise<void> {
    const [, command = '', argument = ''] = /^(\S+) ?(.*)$/.exec(line) ?? [];
    this.#server.commands.push(command === 'PASS' ? 'PASS' : line);
    const scripted = this.#server.script.answer?.(command, argument);
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
    const listener = createServer({ allowHalfOpen: true });
    this.#listener = listener;
    this.#data = once(listener, 'connection').then(([socket]) => {
      (socket as Socket).on('error', () => {});
      return socket as Socket;
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return (listener.address() as AddressInfo).port;
  }

  async #send(content: Buffer): Promise<string | undefined> {
    const { script } = this.#server;
    const data = (await this.#data) as Socket;
    this.#say('150 here it comes');
    const bytes = content.subarray(script.ignoresRest ? 0 : this.#rest);
    this.#rest = 0;
    const end = script.cutAt ?? script.stallAt;
    await new Promise<void>((resolve) => data.write(bytes.subarray(0, end ?? bytes.length), () => resolve()));
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
    const { script, files } = this.#server;
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
  script: FtpScript = {};
  readonly files = new Map<string, StoredFile>();
  /** What clients sent, in order; without passwords. */
  readonly commands: string[] = [];
  /** Called with the bytes of an upload that have come. */
  onReceived: (bytes: number) => void = () => {};
  readonly #server = createServer();
  readonly #open = new Set<Socket>();

  static async start(): Promise<ScriptedFtp> {
    const ftp = new ScriptedFtp();
    ftp.#server.on('connection', (socket) => {
      ftp.#open.add(socket);
      socket.once('close', () => ftp.#open.delete(socket));
      new Conversation(socket, ftp);
    });
    ftp.#server.listen(0, '127.0.0.1');
    await once(ftp.#server, 'listening');
    return ftp;
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
