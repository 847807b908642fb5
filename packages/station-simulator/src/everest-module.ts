/**
 * One simulated station: EVerest's `system_API` on MQTT and the OCPP module behind it, over any number of boots.
 * It ends like EVerest when its connection is lost (`exited`); who wants it back calls `start` again.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { RequestChannelName } from '@khumbu/shared/contract/channels';
import { dump } from '@khumbu/shared/contract/everest-frames';
import type { BootReason, FirmwareUpdateRequest, ResetType } from '@khumbu/shared/contract/schemas';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { ChargerView } from '@khumbu/station-drivers/simulated/charger-view';
import type { RequestOutcome } from './boot-requests.js';
import { followCharger, isAway } from './charger-watch.js';
import { type CommunicationFault, superviseCommunication } from './communication-check.js';
import { createCsmsLink } from './csms-link.js';
import { type EverestBoot, startBoot } from './everest-boot.js';
import { ACCIDENTAL_TRUE } from './everest-frames.js';
import type { Boot, EverestModuleEvents, EverestModuleOptions } from './everest-options.js';
import { OcppPeer } from './ocpp-peer.js';
import { createStationInbox, isSigned } from './station-inbox.js';
import { createChangeBell, keep, nowMs, type ReceivedStatus } from './status-log.js';

/** Why a station is down that was stopped for good. */
export const STOPPED = 'stopped';

const DEFAULT_MS = { registration: 50, restart: 200, reboot: 500, goDown: 50 } as const;

export class EverestModule extends EventEmitter<EverestModuleEvents> {
  readonly options: EverestModuleOptions;
  readonly station: string;
  readonly moduleId: string;
  readonly faults: CommunicationFault[] = [];
  readonly outcomes: RequestOutcome[] = [];
  readonly boots: Boot[] = [];
  /** When permission to install was given, Unix milliseconds. */
  readonly allowed: number[] = [];
  readonly #inbox: ReturnType<typeof createStationInbox>;
  readonly #csms: ReturnType<typeof createCsmsLink>;
  readonly #bell = createChangeBell();
  #peer: OcppPeer;
  #boot: EverestBoot | undefined;
  #supervision: ReturnType<typeof superviseCommunication> | undefined;
  #charger: ChargerView | undefined;
  #starting: Promise<void> | undefined;
  /** Aborted when what is planned for this life (registration, going down, coming up) is void. */
  #plans = new AbortController();
  #stopped = true;

  constructor(options: EverestModuleOptions) {
    super();
    this.options = options;
    this.station = options.station;
    this.moduleId = options.moduleId ?? options.station;
    this.#csms = createCsmsLink(options.dialect, options.exposeOcppConsumer ?? false);
    this.#peer = this.#newPeer();
    this.#inbox = createStationInbox(options, {
      tell: (event, ...details) => this.#tell(event, ...details),
      boot: () => this.boots.at(-1)?.number ?? 0,
      unregistered: () => options.exposeOcppConsumer === true && !this.#csms.registered,
      onFirmware: (message) => {
        this.#peer.status(message);
        if (message.firmware_update_status === 'InstallRebooting') this.#planDeparture('reboot', 'InstallRebooting');
      },
      onCheck: (value) => this.#supervision?.heard(value),
      onAbort: () => void this.#goDown('abort').then(() => this.#tell('exited', 'the OCPP module aborted')),
    });
    options.watch?.((charger) => this.#follow(charger));
  }

  get up(): boolean {
    return this.#boot !== undefined;
  }
  /** The OCPP module behind it; a new one in each boot. */
  get peer(): OcppPeer {
    return this.#peer;
  }
  /** BootNotification was accepted in this boot. */
  get registered(): boolean {
    return this.#csms.registered;
  }
  get statuses(): readonly ReceivedStatus[] {
    return this.#inbox.statuses;
  }
  get checks(): readonly { readonly value: boolean; readonly atMs: number }[] {
    return this.#inbox.checks;
  }
  /** What would break, be lost or confuse a CSMS, over all boots. */
  get violations(): readonly string[] {
    return this.#inbox.violations;
  }

  /**
   * Boot. Nothing happens if it is up; if its charger is away, it boots with that one. Rejects with
   * `STATION_CONNECT_FAILED`.
   */
  async start(): Promise<void> {
    this.#stopped = false;
    if (this.#boot || isAway(this.#charger)) return;
    this.#starting ??= this.#bootUp().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** End it for good, until `start`. Safe to repeat. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#starting?.catch(() => undefined);
    await this.#goDown(STOPPED);
  }

  /** Restart EVerest: down, a pause, up with heartbeat 0. Resolves when it is up; an abort when it is stopped. */
  async restart(awayMs: number = this.options.restartMs ?? DEFAULT_MS.restart): Promise<void> {
    await this.#goDown('restart');
    await delay(awayMs, undefined, { signal: this.#plans.signal });
    if (!this.#stopped) await this.start();
  }

  /** Ask us; resolves with our reply or the fallback. Rejects with `STATION_DOWN` when EVerest ends meanwhile. */
  async request(name: RequestChannelName, payload?: unknown): Promise<RequestOutcome> {
    const boot = this.#running();
    if (name === 'update_firmware') this.#peer.requested({ signed: isSigned(payload as FirmwareUpdateRequest) });
    return boot.request(name, payload);
  }

  /** Publish `reset`. The OCPP module stops itself and waits for the restart. Throws `STATION_DOWN`. */
  reset(type: ResetType, scheduled = false): void {
    this.#running().send('reset', dump({ scheduled, type }));
    this.#peer.stop();
    this.#setCsmsLink(false);
    this.#planDeparture(type === 'Soft' ? 'restart' : 'reboot', `reset ${type}`);
  }

  /** Publish `allow_firmware_installation`, also when nothing waits for it. Throws `STATION_DOWN`. */
  allow(): void {
    this.#running().send('allow_firmware_installation', ACCIDENTAL_TRUE);
    keep(this.allowed, nowMs());
    this.#tell('allow');
  }

  /**
   * The first matching status, received already (after `afterSeq`) or still to come. Rejects with `DEADLINE_PASSED`
   * and what was received.
   */
  awaitStatus(
    predicate: (status: ReceivedStatus) => boolean,
    deadlineMs: number,
    afterSeq = 0,
  ): Promise<ReceivedStatus> {
    const look = () => this.statuses.find((status) => status.seq > afterSeq && predicate(status));
    const heard = () => this.statuses.map((s) => `${s.kind} ${s.requestId} ${s.status}`).join(', ');
    return this.#bell.waitFor(look, deadlineMs, () => `${this.station} for a status; it has heard: ${heard()}`);
  }

  /** Wait until `look` finds something; asked again after everything that happens to this station. */
  awaitThat<T>(look: (station: this) => T | undefined | false, deadlineMs: number, what = 'a change'): Promise<T> {
    const found = (): T | undefined => look(this) || undefined;
    return this.#bell.waitFor(found, deadlineMs, () => `${this.station} for ${what}`);
  }

  async #bootUp(): Promise<void> {
    const boot = await startBoot(this.options, {
      received: (name, bytes) => this.#inbox.receive(name, bytes),
      ended: (outcome) => {
        this.#inbox.answered(outcome);
        keep(this.outcomes, outcome);
        this.#tell('replied', outcome);
      },
      broken: (what) => this.#inbox.violated(what),
      latched: (leaf) => this.#csms.latched(leaf),
      lost: () => {
        this.#forget();
        this.#tell('down', 'the connection was lost');
        this.#tell('exited', 'the connection was lost');
      },
    });
    if (this.#stopped) await boot.stop();
    else this.#begin(boot);
  }

  #begin(boot: EverestBoot): void {
    this.#forget();
    this.#boot = boot;
    this.#peer = this.#newPeer();
    const record: Boot = { number: (this.boots.at(-1)?.number ?? 0) + 1, atMs: nowMs() };
    keep(this.boots, record);
    this.#supervision = superviseCommunication(this.options.communicationCheckS ?? 5, nowMs, (fault) => {
      if (fault.clearedAtMs === undefined) keep(this.faults, fault);
      this.#tell('fault', fault);
    });
    // OCPP asks at once, and does not wait for the other modules; it connects to its CSMS with the answer.
    const asked = boot.request('get_boot_reason', undefined);
    void this.#inThisLife((signal) => this.#registerAfter(asked, record, signal));
    boot.beginHeartbeats();
    this.#tell('up', record);
    boot.listen();
  }

  async #registerAfter(asked: Promise<RequestOutcome>, record: Boot, signal: AbortSignal): Promise<void> {
    record.bootReason = (await asked).reply as BootReason;
    this.#bell.ring();
    await delay(this.options.registrationMs ?? DEFAULT_MS.registration, undefined, { signal });
    if (!this.#peer.stopped) this.#setCsmsLink(true);
  }

  #running(): EverestBoot {
    if (!this.#boot) throw new CodedError('STATION_DOWN', `EVerest of ${this.station} does not run`);
    return this.#boot;
  }

  #newPeer(): OcppPeer {
    return new OcppPeer(this.options.dialect, () => this.allow());
  }

  #setCsmsLink(connected: boolean): void {
    this.#csms.set(connected, (topic, text) => this.#boot?.publish(topic, text));
    this.#bell.ring();
  }

  /** We will take the station down now. With a charger to watch, that decides when. */
  #planDeparture(kind: 'restart' | 'reboot', why: string): void {
    const awayMs = this.options[`${kind}Ms`] ?? DEFAULT_MS[kind];
    const pause = this.options.goDownMs ?? DEFAULT_MS.goDown;
    if (this.options.watch || pause === 'never') return;
    void this.#inThisLife(async (signal) => {
      await delay(pause, undefined, { signal });
      await this.#leaveFor(awayMs, why);
    });
  }

  async #leaveFor(awayMs: number, why: string): Promise<void> {
    await this.#goDown(why);
    await this.#inThisLife(async (signal) => {
      await delay(awayMs, undefined, { signal });
      await this.#comeUp();
    });
  }

  /** Boot by itself; a station that cannot is one that has exited. */
  async #comeUp(): Promise<void> {
    if (this.#stopped) return;
    try {
      await this.start();
    } catch (error) {
      this.#tell('exited', describeError(error));
    }
  }

  #follow(charger: ChargerView): void {
    const move = followCharger(this.#charger, charger);
    this.#charger = charger;
    if (this.#stopped || move === 'stay') return;
    const moves = {
      'come-up': () => this.#comeUp(),
      'go-down': () => this.#goDown('the charger reboots'),
      restart: () => this.#leaveFor(this.options.restartMs ?? DEFAULT_MS.restart, 'EVerest was restarted'),
    };
    const settled = this.#starting?.catch(() => undefined) ?? Promise.resolve();
    void settled.then(moves[move]);
  }

  async #goDown(why: string): Promise<void> {
    const boot = this.#boot;
    this.#forget();
    if (!boot) return;
    await boot.stop();
    this.#tell('down', why);
  }

  /** What ends with the process. */
  #forget(): void {
    this.#plans.abort();
    this.#plans = new AbortController();
    this.#boot = undefined;
    this.#peer.stop();
    this.#csms.forget();
    this.#supervision?.close();
    this.#supervision = undefined;
  }

  /** A failure is that of the station, which has exited then, unless this life is over anyway. */
  async #inThisLife(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#plans;
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) this.#tell('exited', describeError(error));
    }
  }

  #tell<K extends keyof EverestModuleEvents>(event: K, ...details: EverestModuleEvents[K]): void {
    (this.emit as (event: string, ...details: unknown[]) => boolean).call(this, event, ...details);
    this.#bell.ring();
  }
}

export const createEverestModule = (options: EverestModuleOptions): EverestModule => new EverestModule(options);
