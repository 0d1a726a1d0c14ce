/** The set-up as commands of the `bao` (or `vault`) command line. */
import type { SettingValue, SetupItem } from './plan.ts';
import { formatPolicy } from './policies.ts';

/** A shell script that makes what `setupItems` lists, when nothing of it is there. */
export function setupScript(items: readonly SetupItem[]): string {
  return `#!/bin/sh\nset -eu\n${items.map(commandOf).join('')}`;
}

function commandOf(item: SetupItem): string {
  switch (item.kind) {
    case 'kv':
      return `bao secrets enable -path=${item.mount} -version=2 kv\n`;
    case 'auth':
      return `bao auth enable -path=${item.mount} ${item.type}\n`;
    case 'policy': {
      const find = item.aliasOf === undefined ? '' : `ACCESSOR=$(bao read -field=accessor sys/auth/${item.aliasOf})\n`;
      const text = formatPolicy(item.rules('$ACCESSOR'));
      return `${find}bao policy write ${item.name} - <<${item.aliasOf === undefined ? "'END'" : 'END'}\n${text}END\n`;
    }
    case 'settings': {
      const settings = Object.entries(item.settings).map(([key, value]) => ` ${key}=${valueOf(value)}`);
      return `bao write ${item.path.join('/')}${settings.join('')}\n`;
    }
  }
}

const valueOf = (value: SettingValue): string => (Array.isArray(value) ? value.join(',') : String(value));
