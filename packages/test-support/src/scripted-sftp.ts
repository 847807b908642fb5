/** An SFTP server that does what a test says, where OpenSSH does as it should: it lies, stalls, breaks off and says nothing. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import ssh2, { type Connection, type SFTPWrapper } from 'ssh2';
import { makeSshHostKey } from './ssh-host-key.js';

const { STATUS_CODE, OPEN_MODE } = ssh2.utils.sftp;
const { OK, EOF, FAILURE, NO_SUCH_FILE } = STATUS_CODE;
const REGULAR = 0o100644;

/** Requests that it knows, with what comes in them. */
interface Requests {
  STAT: [path: string];
  FSTAT: [handle: Buffer];
  OPEN: [path: string, flags: number];
  CLOSE: [handle: Buffer];
  READ: [handle: Buffer, offset: number, length: number];
  WRITE: [handle: Buffer, offset: number, data: Buffer];
  RENAME: [from: string, to: string];
  REMOVE: [path: string];
}

export interface SftpScript {
  /** Connections end before a greeting. */
  readonly noGreeting?: true;
  /** A request that gets no answer: `STAT`. */
  readonly ignores?: keyof Requests;
  /** After so many bytes of content the connection ends. */
  readonly cutAt?: number;
  /** After so many bytes of content nothing comes any more. */
  readonly stallAt?: number;
  /** After so many bytes reading fails. */
  readonly failsAt?: number;
  /** Nothing is renamed to a name that is taken, as without `posix-rename`. */
  readonly keepsTaken?: true;
  /** The connection ends once this file was renamed. */
  readonly cutAtRename?: string;
  /** Most bytes that it gives at once. */
  readonly most?: number;
  /** The size it tells is larger by so many bytes than the content. */
  readonly sizeOff?: number;
  /** Once content was read, files are longer. */
  readonly grows?: true;
  /** When files were changed, as it says; milliseconds since 1970. */
  readonly modifiedMs?: number;
  /** Of what is sent, and of what is taken from an upload. */
  readonly bytesPerSecond?: number;
}

interface StoredFile {
  bytes: Buffer;
  readonly modifiedMs: number;
}

/** One session of SFTP. Handles are paths. */
class Conversation {
  readonly #sftp: SFTPWrapper;
  readonly #server: ScriptedSftp;
  readonly #script: SftpScript;
  readonly #socket: Socket;
  /** Content in the order in which it was asked for. */
  #turn = Promise.resolve();
  #sent = 0;
  #isRead = false;

  constructor(sftp: SFTPWrapper, server: ScriptedSftp, script: SftpScript, socket: Socket) {
    this.#sftp = sftp;
    this.#server = server;
    this.#script = script;
    this.#socket = socket;
    const attributes = (id: number, path: string): void => {
      const file = server.files.get(path);
      if (file) sftp.attrs(id, this.#attributes(file));
      else sftp.status(id, NO_SUCH_FILE);
    };
    this.#on('STAT', attributes);
    this.#on('FSTAT', (id, handle) => attributes(id, String(handle)));
    const { files } = server;
    this.#on('OPEN', (id, path, flags) => {
      if (flags & OPEN_MODE.TRUNC) server.put(path, Buffer.alloc(0));
      sftp.handle(id, Buffer.from(path));
    });
    this.#on('CLOSE', (id) => sftp.status(id, OK));
    this.#on('REMOVE', (id, path) => sftp.status(id, files.delete(path) ? OK : NO_SUCH_FILE));
    this.#on('RENAME', (id, from, to) => {
      if (script.keepsTaken && files.has(to)) {
        sftp.status(id, FAILURE);
        return;
      }
      const file = files.get(from);
      if (file) files.set(to, file);
      const isRenamed = files.delete(from);
      if (isRenamed && from === script.cutAtRename) socket.destroy();
      else sftp.status(id, isRenamed ? OK : NO_SUCH_FILE);
    });
    this.#on('WRITE', (id, handle, _offset, data) => this.#inTurn(() => this.#write(id, String(handle), data)));
    this.#on('READ', (id, handle, offset, length) =>
      this.#inTurn(() => this.#read(id, String(handle), offset, length)),
    );
  }

  #on<R extends keyof Requests>(request: R, answer: (id: number, ...more: Requests[R]) => void): void {
    const { ignores } = this.#script;
    const listener = (id: number, ...more: Requests[R]): void => {
      if (ignores !== request) answer(id, ...more);
    };
    this.#sftp.on(request as 'STAT', listener as never);
  }

  /** Whoever reads or writes may be gone. */
  #inTurn(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work).catch(() => undefined);
  }

  /** Content comes in order. */
  async #write(id: number, path: string, data: Buffer): Promise<void> {
    const { bytesPerSecond } = this.#script;
    const file = this.#server.files.get(path);
    if (file) file.bytes = Buffer.concat([file.bytes, data]);
    if (bytesPerSecond) await delay((data.length / bytesPerSecond) * 1000);
    this.#sftp.status(id, file ? OK : FAILURE);
  }

  #attributes({ bytes, modifiedMs }: StoredFile) {
    const { sizeOff = 0, grows, modifiedMs: said = modifiedMs } = this.#script;
    const size = bytes.length + sizeOff + (grows && this.#isRead ? 1 : 0);
    const time = Math.floor(said / 1000);
    return { mode: REGULAR, uid: 0, gid: 0, size, atime: time, mtime: time };
  }

  async #read(id: number, path: string, offset: number, length: number): Promise<void> {
    const { cutAt, stallAt, failsAt, most = length, bytesPerSecond } = this.#script;
    const end = cutAt ?? stallAt ?? failsAt ?? Number.POSITIVE_INFINITY;
    const left = end - this.#sent;
    // Whoever asked is gone: what was asked for ahead is not sent any more.
    if (!this.#socket.writable) return;
    if (left <= 0) {
      if (failsAt !== undefined) this.#sftp.status(id, FAILURE);
      else if (cutAt !== undefined) this.#socket.end();
      return;
    }
    const content = this.#server.files.get(path)?.bytes ?? Buffer.alloc(0);
    const piece = content.subarray(offset, offset + Math.min(length, most, left));
    this.#isRead = true;
    if (piece.length === 0) {
      this.#sftp.status(id, EOF);
      return;
    }
    this.#sent += piece.length;
    this.#server.sent += piece.length;
    this.#sftp.data(id, piece);
    if (bytesPerSecond) await delay((piece.length / bytesPerSecond) * 1000);
  }
}

export class ScriptedSftp {
  /** Of a connection, from its beginning on. */
  script: SftpScript = {};
  /** Of the next connections, in order; `script` after them. */
  next: SftpScript[] = [];
  readonly files = new Map<string, StoredFile>();
  /** Bytes of content that were sent. */
  sent = 0;
  readonly #hostKey = makeSshHostKey();
  readonly #open = new Set<Socket>();
  readonly #listener = createServer((socket) => this.#welcome(socket));
  /** Of the connection that just begins. */
  #beginning: { readonly script: SftpScript; readonly socket: Socket } | undefined;
  readonly #ssh = new ssh2.Server({ hostKeys: [this.#hostKey.privateKey] }, (client) => this.#serve(client));

  /** Anybody is let in, and every path is a file that was put there. */
  static async start(): Promise<ScriptedSftp> {
    const sftp = new ScriptedSftp();
    sftp.#listener.listen(0, '127.0.0.1');
    await once(sftp.#listener, 'listening');
    return sftp;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** A line of a known-hosts file. */
  get knownHosts(): string {
    return `[127.0.0.1]:${this.port} ${this.#hostKey.publicKey}\n`;
  }

  put(path: string, bytes: Buffer, modifiedMs = 1_600_000_000_000): void {
    this.files.set(path, { bytes, modifiedMs });
  }

  /** Resolves when all connections have ended. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#open].map((socket) => once(socket.end(), 'close')));
  }

  stop(): void {
    this.#listener.close();
    for (const socket of this.#open) socket.destroy();
  }

  #welcome(socket: Socket): void {
    this.#open.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#open.delete(socket));
    const script = this.next.shift() ?? this.script;
    if (script.noGreeting) return void socket.destroy();
    this.#beginning = { script, socket };
    this.#ssh.injectSocket(socket);
  }

  #serve(client: Connection): void {
    const { script, socket } = this.#beginning ?? {};
    if (!script || !socket) throw new Error('a connection that nobody has made');
    client.on('error', () => undefined);
    client.on('authentication', (login) => login.accept());
    client.on('session', (accept) =>
      accept().on('sftp', (take) => void new Conversation(take(), this, script, socket)),
    );
  }
}
