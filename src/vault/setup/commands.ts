/** The set-up as commands of the `bao` (or `vault`) command line. */
import { CA_SECONDS, type SettingValue, type SetupItem } from './items.ts';
import { rootSettings } from './pki-engine.ts';
import { formatPolicy } from './policies.ts';

/** A shell script that makes what `setupItems` lists, when nothing of it is there. */
export function setupScript(items: readonly SetupItem[]): string {
  return `#!/bin/sh\nset -eu\n${items.map(commandOf).join('')}`;
}

function commandOf(item: SetupItem): string {
  switch (item.kind) {
    case 'kv':
      return `bao secrets enable -path=${item.mount} -version=2 kv\n`;
    case 'pki':
      return `bao secrets enable -path=${item.mount} -max-lease-ttl=${Math.max(CA_SECONDS, item.longestSeconds)}s pki\n`;
    case 'issuer':
      return issuerCommands(item);
    case 'auth':
      return `bao auth enable -path=${item.mount} ${item.type}\n`;
    case 'policy': {
      const find = item.aliasOf === undefined ? '' : `ACCESSOR=$(bao read -field=accessor sys/auth/${item.aliasOf})\n`;
      const text = formatPolicy(item.rules('$ACCESSOR'));
      return `${find}bao policy write ${item.name} - <<${item.aliasOf === undefined ? "'END'" : 'END'}\n${text}END\n`;
    }
    case 'settings': {
      return `bao write ${item.path.join('/')}${argumentsOf(item.settings)}\n`;
    }
  }
}

/** The first CA that is imported into an engine is its default. */
function issuerCommands({ mount, issuer, ca }: Extract<SetupItem, { kind: 'issuer' }>): string {
  const generated = `bao write ${mount}/root/generate/internal${argumentsOf(rootSettings(issuer))}\n`;
  if (ca?.kind === 'make') return generated;
  const [file, comment] = ca === undefined ? ['FILE', '# '] : [ca.file, ''];
  return [
    `bao write ${mount}/issuers/import/bundle pem_bundle=@${file}\n`,
    `bao write ${mount}/issuer/default issuer_name=${issuer} usage=read-only,issuing-certificates\n`,
  ]
    .map((line) => comment + line)
    .join('');
}

function argumentsOf(settings: Readonly<Record<string, SettingValue>>): string {
  return Object.entries(settings)
    .map(([key, value]) => ` ${key}=${quotedForShell(valueOf(value))}`)
    .join('');
}

const quotedForShell = (text: string): string => (/^[\w.,:/@-]*$/.test(text) ? text : `'${text}'`);

const valueOf = (value: SettingValue): string => (Array.isArray(value) ? value.join(',') : String(value));
