/** What the command line reads from the environment; the table in docs/cli.md is made from it. */
import { optionalText, whole } from '@khumbu/shared/runtime/config';
import { type Static, Type } from 'typebox';

export const CLI_SETTINGS = Type.Object({
  KHUMBU_URL: optionalText(
    'URL of a gateway, without path; in place of a profile. Without either: http://127.0.0.1:HTTP_PORT, where `khumbu up` serves.',
    '^https?://',
  ),
  KHUMBU_KEY: optionalText(
    'API key or JSON Web Token. KHUMBU_KEY_FILE: a file that holds it. Never sent to a profile that has a key of its own.',
  ),
  KHUMBU_PROFILE: optionalText('Name of the profile that is used.'),
  KHUMBU_PROFILES_FILE: optionalText(
    'Where profiles are; khumbu/profiles.json below XDG_CONFIG_HOME or ~/.config if not set.',
  ),
  KHUMBU_TIMEOUT_S: whole(30, 1, 'Seconds in which a gateway has to answer a request.', 3600),
  KHUMBU_RETRY_S: whole(
    10,
    0,
    'Seconds in which a request is asked again while nothing was accepted, as while a gateway starts.',
    3600,
  ),
  HTTP_PORT: whole(8080, 0, 'Port of the gateway on this machine, where neither URL nor profile is given.', 65_535),
  DATA_DIR: Type.String({
    default: './var',
    description: 'Folder of `khumbu up`; its api-key is the key for the gateway on this machine.',
  }),
});
export type CliSettings = Readonly<Static<typeof CLI_SETTINGS>>;
