/** How a real station is reached and acted upon: the `driver` of an entry of the stations file. */
import { type Static, Type } from 'typebox';
import { conditional } from './conditional.js';
import { Logs } from './log-sources.js';

const closed = { additionalProperties: false } as const;

/** Names that commands may ask for. Each stands alone as an argument; it is never a part of one. */
export const PLACEHOLDERS = {
  install: ['image', 'url', 'sha256', 'size', 'operation'],
  recover: ['operation'],
  reboot: ['operation'],
  restart_everest: ['operation'],
  evidence: [],
  read_clock: [],
  set_clock: ['time', 'seconds'],
  slew_clock: ['offset', 'microseconds'],
  logs: ['type', 'oldest', 'latest'],
  network: ['interface'],
} as const;

export type VerbName = keyof typeof PLACEHOLDERS;

const argv = (description: string, names: readonly string[] = []) => {
  const inside = names.length === 0 ? '' : `(?!.*\\{(?:${names.join('|')})\\})`;
  const alone = names.length === 0 ? '' : `\\{(?:${names.join('|')})\\}|`;
  const word = Type.String({ pattern: `^(?:${alone}${inside}[^\\u0000-\\u001f\\u007f]*)$`, maxLength: 4096 });
  const values = names.length === 0 ? '' : ` Values, each a whole argument: ${names.map((n) => `{${n}}`).join(', ')}.`;
  return Type.Array(word, { minItems: 1, maxItems: 100, description: `${description}${values}` });
};
const verb = (name: VerbName, description: string) => Type.Optional(argv(description, PLACEHOLDERS[name]));

const path = (description: string) => Type.String({ pattern: '^/', maxLength: 1024, description });
const seconds = (description: string) => Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400, description }));

const host = Type.String({ pattern: '^[A-Za-z0-9:._%-]+$', maxLength: 255, description: 'Name or address.' });
const login = {
  host: Type.Optional(host),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: 'Default 22.' })),
  user: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9._@$-]+$', maxLength: 64 })),
  private_key_file: Type.Optional(path('Our key, as ssh-keygen writes it, without a passphrase.')),
  agent_socket: Type.Optional(path('Socket of an ssh-agent that holds our key.')),
  known_hosts_file: Type.Optional(path('Where its host key is pinned.')),
  host_key_alias: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9._-]+$',
      maxLength: 255,
      description: 'The name its host key is pinned under; default: host and port. For chargers behind a tunnel.',
    }),
  ),
};

const stands = (member: string, value: string): object => ({
  properties: { [member]: { const: value } },
  required: [member],
});

/** What must stand there for an SSH login. */
const loginNeeds = {
  allOf: [
    { required: ['host', 'user', 'known_hosts_file'] },
    conditional({ required: ['agent_socket'] }, {}, { required: ['private_key_file'] }),
  ],
};

/** EVerest's own lifecycle_API, over a broker that is reached from the station. */
const ManagementApi = Type.Object(
  {
    management_api: Type.Literal(true, {
      description: 'Restart EVerest by the lifecycle_API of its manager, which is started with --lifecycle-api=rw.',
    }),
    host: Type.Optional({ ...host, description: 'EVerest’s broker, as the station reaches it; default 127.0.0.1.' }),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: 'Default 1883.' })),
  },
  closed,
);
export type ManagementApi = Static<typeof ManagementApi>;

const restart = (description: string) =>
  Type.Optional(
    Type.Unsafe<string[] | ManagementApi>(
      conditional({ type: 'object' }, ManagementApi, argv(description, PLACEHOLDERS.restart_everest)),
    ),
  );

const NetworkManager = Type.Object(
  {
    prefix: Type.Optional(argv('What nmcli and busctl are called by, as sudo; default: nothing.')),
    rollback_s: Type.Optional(
      Type.Integer({
        minimum: 15,
        maximum: 55,
        description: 'Seconds after which NetworkManager takes back what was not confirmed; default 40.',
      }),
    ),
  },
  { ...closed, description: 'Networks are configured by NetworkManager, unless the profile has a command for it.' },
);

const Limits = Type.Object(
  {
    connect_s: seconds('To open a connection; default 10.'),
    keep_alive_s: seconds('Between two signs of life of a connection; a host is dead after three of them; default 4.'),
    command_s: seconds('For a command that is no effect; default 60.'),
    transfer_stall_s: seconds('The station takes nothing of an image for so long; default 60.'),
    install_s: seconds('Default 3600.'),
    reboot_s: seconds('From its command to a new boot id; default 600.'),
    restart_s: seconds('Default 300.'),
    logs_s: seconds('Default 3600.'),
  },
  { ...closed, description: 'How long things may take.' },
);

const Command = Type.Object(
  {
    install: argv('Write the image to the slot that does not run.', PLACEHOLDERS.install),
    recover: verb(
      'recover',
      'After an install or a reboot that was broken off: make the slot that runs the next to boot; default: nothing is put back.',
    ),
    reboot: verb('reboot', 'Restart the host; default: systemctl reboot.'),
    restart_everest: restart('Restart EVerest; default: systemctl restart everest.'),
    evidence: argv('Print one JSON object: what runs and how it does.'),
    read_clock: verb('read_clock', 'Print seconds since 1970; default: date +%s.%N.'),
    set_clock: verb('set_clock', 'Set the clock; default: date, unless a time service keeps it.'),
    slew_clock: verb(
      'slew_clock',
      'Let the clock gain so much, or lose it; default: adjtimex, unless a time service keeps it.',
    ),
    logs: verb('logs', 'Print log records in time order. Absent bounds are empty arguments.'),
    network: verb('network', 'Prepare an interface; the request is JSON on standard input.'),
  },
  { ...closed, description: 'Profile `command`: the maker’s own programs.' },
);

const Rauc = Type.Object(
  {
    program: Type.Optional(argv('RAUC; default: rauc. `[sudo, rauc]` where it needs that.')),
    health: Type.Optional(argv('Exits with 0 when the running system is well; default: none is asked.')),
    mark_good: Type.Optional(
      Type.Boolean({ description: 'Mark the running slot good once it is well; default false.' }),
    ),
  },
  { ...closed, description: 'Profile `rauc`.' },
);
export type RaucSettings = Static<typeof Rauc>;

const variable = Type.String({ pattern: '^[A-Za-z0-9_.-]+$', maxLength: 100 });
const socket = (description: string) => Type.String({ pattern: '^/[A-Za-z0-9._/-]+$', maxLength: 100, description });

const Swupdate = Type.Object(
  {
    client: Type.Optional(
      argv('The client of the daemon; default: swupdate-client. `[sudo, swupdate-client]` where it needs that.'),
    ),
    program: Type.Optional(
      argv('SWUpdate itself, where no daemon runs: it is started for each update with -v, -i and what is set below.'),
    ),
    control_socket: Type.Optional(
      socket('Of the daemon; default: sockinstctrl in TMPDIR, in /run/swupdate, in /tmp, where one listens.'),
    ),
    progress_socket: Type.Optional(socket('Of the daemon; default: swupdateprog beside the control socket.')),
    tmpdir: Type.Optional(
      path('Where SWUpdate unpacks; default: the folder of the control socket, for `program` TMPDIR or /tmp.'),
    ),
    running_slot: argv('Prints the slot that runs, as the first of boot_variables names it.'),
    boot_variables: Type.Array(variable, {
      minItems: 1,
      maxItems: 20,
      description:
        'Variables of the bootloader that an image sets: first the one that names the slot to boot, then those that are put back with it.',
    }),
    selections: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[^=\\u0000-\\u0020\\u007f]+$', maxLength: 100 }),
        Type.String({ pattern: '^[^,\\s]+,[^,\\s]+$', maxLength: 200 }),
        {
          minProperties: 2,
          maxProperties: 2,
          description: 'By slot, what writes it (option -e); default: what SWUpdate selects itself.',
        },
      ),
    ),
    read_variable: Type.Optional(
      argv('Prints the value of the variable whose name is appended; default: fw_printenv -n.'),
    ),
    write_variable: Type.Optional(argv('Name and value are appended, no value removes it; default: fw_setenv.')),
    version: Type.Optional(argv('Prints the version that runs, as sw-description has it; default: none is known.')),
    refuse_downgrade: Type.Optional(
      Type.Boolean({
        description: 'Take no image with an older version than the one that runs; default false. Needs version.',
      }),
    ),
    health: Type.Optional(argv('Exits with 0 when the running system is well; default: none is asked.')),
    public_key: Type.Optional(path('Option -k of `program`: who signs images.')),
    bootloader: Type.Optional(
      Type.Enum(['uboot', 'grub', 'ebg', 'cboot'], { description: 'Option -B of `program`; default uboot.' }),
    ),
    hardware: Type.Optional(
      Type.String({
        pattern: '^[^:\\s]+:[^:\\s]+$',
        maxLength: 200,
        description: 'Option -H of `program`: board:revision; default: /etc/hwrevision.',
      }),
    ),
  },
  {
    ...closed,
    ...conditional(
      { properties: { refuse_downgrade: { const: true } }, required: ['refuse_downgrade'] },
      { required: ['version'] },
    ),
    description: 'Profile `swupdate`.',
  },
);
export type SwupdateSettings = Static<typeof Swupdate>;

const members = {
  transport: Type.Enum(['local', 'ssh'], { description: 'How it is reached.' }),
  ...login,
  jump: Type.Optional(
    Type.Object(login, { ...closed, ...loginNeeds, description: 'The host by which it is reached.' }),
  ),
  depot_url: Type.Optional(
    Type.String({
      pattern: '^https?://(?:[A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?$',
      maxLength: 300,
      description:
        'A gateway as the station reaches it, http://host:port: from there {url} of install leads to the image.',
    }),
  ),
  state_dir: path('Folder at the station for markers and results.'),
  profile: Type.Enum(['command', 'rauc', 'swupdate'], { description: 'Whose update tool is there.' }),
  command: Type.Optional(Command),
  rauc: Type.Optional(Rauc),
  swupdate: Type.Optional(Swupdate),
  boot_id: Type.Optional(argv('Prints what tells one boot from another; default: the kernel’s boot id.')),
  reboot: verb('reboot', 'Instead of the profile’s own.'),
  restart_everest: restart('Instead of the profile’s own.'),
  read_clock: verb('read_clock', 'Instead of the profile’s own.'),
  set_clock: verb('set_clock', 'Instead of the profile’s own.'),
  slew_clock: verb('slew_clock', 'Instead of the profile’s own.'),
  network_manager: Type.Optional(NetworkManager),
  limits: Type.Optional(Limits),
  logs: Type.Optional(Logs),
};

/** Its own command to install takes this value. */
const installsBy = (value: string): object => ({
  properties: { command: { properties: { install: { contains: { const: `{${value}}` } } }, required: ['install'] } },
  required: ['command'],
});

/** What must stand beside what. */
const needs = {
  allOf: [
    conditional(stands('transport', 'ssh'), loginNeeds),
    conditional(stands('profile', 'command'), { required: ['command'] }),
    conditional(stands('profile', 'swupdate'), { required: ['swupdate'] }),
    conditional(installsBy('url'), { allOf: [{ required: ['depot_url'] }, installsBy('sha256')] }),
  ],
};

const Real = Type.Object(members, { ...closed, ...needs });

const Packaged = Type.Object(
  {
    package: Type.String({
      pattern: '^(?:@[a-z0-9._~-]+/)?[a-z0-9._~-]+$',
      description: 'Of npm, or installed by hand.',
    }),
    settings: Type.Optional(Type.Unknown({ description: 'Handed to it as they are.' })),
  },
  { ...closed, description: 'A driver of your own.' },
);

export type RealDriverEntry = Static<typeof Real>;
export type PackagedDriverEntry = Static<typeof Packaged>;
export type DriverEntry = 'simulated' | RealDriverEntry | PackagedDriverEntry;
export type CommandVerbs = Static<typeof Command>;

export const Driver = Type.Unsafe<DriverEntry>(
  conditional(
    { not: { type: 'object' } },
    Type.Enum(['simulated']),
    conditional({ required: ['package'] }, Packaged, Real),
  ),
);

/** A schema whose objects may lack any member: what is missing comes from somewhere else. */
function partOf(schema: object): object {
  const { required: _required, allOf: _allOf, ...rest } = schema as Readonly<Record<string, unknown>>;
  const { properties } = rest as { readonly properties?: Readonly<Record<string, object>> };
  if (!properties) return schema;
  return {
    ...rest,
    properties: Object.fromEntries(Object.entries(properties).map(([name, of]) => [name, partOf(of)])),
  };
}

/** Any members of an entry. */
type PartOf<T> = { readonly [M in keyof T]?: T[M] extends readonly unknown[] ? T[M] : PartOf<T[M]> };
export type DriverPart = 'simulated' | PartOf<RealDriverEntry> | PartOf<PackagedDriverEntry>;

/** One that is made whole by `defaults.driver`, or is that. */
export const DriverPart = Type.Unsafe<DriverPart>(
  conditional(
    { not: { type: 'object' } },
    Type.Enum(['simulated']),
    conditional({ anyOf: [{ required: ['package'] }, { required: ['settings'] }] }, partOf(Packaged), partOf(Real)),
  ),
);

/**
 * Whether the driver of this entry can prepare a network interface at all, as far as the entry tells; it may still refuse one.
 * Who gives a profile a way to do it says so here: what it says is answered to EVerest before a worker is asked.
 */
export function configuresNetworks(entry: DriverEntry): boolean {
  if (entry === 'simulated' || 'package' in entry) return true;
  // Of any profile; the maker's own command wins.
  return entry.network_manager !== undefined || (entry.profile === 'command' && entry.command?.network !== undefined);
}

/** What people read: `simulated`, `ssh/command`, the name of a package. */
export function driverName(entry: DriverEntry): string {
  if (entry === 'simulated') return entry;
  return 'package' in entry ? entry.package : `${entry.transport}/${entry.profile}`;
}
