/** What a shell reads once: it asks the command itself for proposals, so they follow from the table of commands. */
import { buildCommand, buildRouteMap } from '@stricli/core';
import { JSON_FLAG } from '../commands/flags.js';
import { acting, type CliContext, type OutputFlags } from '../context.js';

/** Behind it stand the words so far, the last one as far as it was typed. */
export const PROPOSE = ['completion', 'propose', '--'] as const;

/** In double quotes, so that a path with blanks stays one word. */
const BASH = `_khumbu() {
  local IFS=$'\\n'
  COMPREPLY=($("\${COMP_WORDS[0]}" ${PROPOSE.join(' ')} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _khumbu khumbu`;

const ZSH = `_khumbu() {
  local -a proposals
  proposals=("\${(@f)$("\${words[1]}" ${PROPOSE.join(' ')} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -- "\${(@)proposals:#}"
}
compdef _khumbu khumbu`;

const script = (shell: string, text: string) =>
  buildCommand<OutputFlags, readonly [], CliContext>({
    docs: { brief: `The script for ${shell}: source <(khumbu completion ${shell})` },
    parameters: { flags: JSON_FLAG },
    func: acting(async ({ terminal }, { json }) => (json ? terminal.json({ script: text }) : terminal.print(text))),
  });

export const completion = buildRouteMap({
  docs: { brief: 'Completion of commands, flags, stations and operations in a shell' },
  routes: { bash: script('bash', BASH), zsh: script('zsh', ZSH) },
});
