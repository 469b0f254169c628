import type { StateRemote } from '#base/config.ts';
import { type ErrorCode, Fault } from '#base/errors.ts';
import { gitFault } from '../process.ts';

interface Meaning {
  readonly code: Extract<ErrorCode, `REMOTE_${string}`>;
  readonly said: RegExp;
  readonly why?: string;
  readonly fix: (remote: StateRemote) => string;
}

const credentialSetting = ({ credential, scheme }: StateRemote): string => {
  if (credential.kind === 'github-app') return 'STATE_REPOSITORY_GITHUB_APP_ID and what belongs to it';
  if (scheme === 'ssh') return 'STATE_REPOSITORY_SSH_KEY';
  return 'STATE_REPOSITORY_TOKEN';
};

const signIn = (remote: StateRemote) =>
  `See that ${credentialSetting(remote)} is one that the host still knows and that may read and push there`;

/** What git, curl and ssh say, and what it means; the first that fits counts. All of them run with LC_ALL=C. */
const meanings: readonly Meaning[] = [
  {
    code: 'REMOTE_UNTRUSTED',
    said: /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No \S+ host key is known/,
    why: 'its host key is not among the ones that are pinned',
    fix: () => 'Compare the key that it shows with what the host publishes, then set STATE_REPOSITORY_KNOWN_HOSTS',
  },
  {
    code: 'REMOTE_UNTRUSTED',
    said: /SSL certificate problem|server certificate verification failed|SSL: no alternative certificate|unable to get local issuer/i,
    fix: () => 'Set STATE_REPOSITORY_CA_FILE to the authority that signed its certificate',
  },
  {
    code: 'REMOTE_UNUSABLE',
    said: /unable to update url base from redirection|requested URL returned error: 30\d/,
    why: 'it sends elsewhere, and credentials are not taken along',
    fix: () => 'Write the address that it leads to into STATE_REPOSITORY_URL',
  },
  {
    code: 'REMOTE_REFUSED',
    said: /Authentication failed|could not read (Username|Password)|returned error: 40[13]|Permission denied \(|Permission to .+ denied|Load key .+: |sign_and_send_pubkey/,
    fix: signIn,
  },
  {
    code: 'REMOTE_REFUSED',
    said: /repository .+ not found|Repository not found|does not appear to be a git repository|returned error: 404|project you were looking for could not be found/i,
    why: 'there is no such repository, or it is not shown to whom Plinth signs in as',
    fix: (remote) => `Compare STATE_REPOSITORY_URL with the host, and see what ${credentialSetting(remote)} may see`,
  },
  {
    code: 'REMOTE_UNUSABLE',
    said: /fsck error|object corrupt|unpack-objects error|index-pack failed/,
    fix: () => 'git does not take what it holds; `git fsck` in a clone names the object',
  },
];

/** The fault that git's words mean. Of what it said, the remote's own words too, no secret is repeated. */
export function remoteFault(remote: StateRemote, said: string, secrets: readonly string[] = []): Fault {
  const text = redact(said, secrets);
  const { url } = remote;
  const local = gitFault('', text);
  if (local.code === 'DISK_FULL') return local;
  const meaning = meanings.find((one) => one.said.test(text));
  const why = (meaning?.why ?? wordsOf(text)).replace(/\.$/, '');
  if (meaning === undefined) return new Fault('REMOTE_UNAVAILABLE', { url, why }, { cause: text });
  return new Fault(meaning.code, { url, why, fix: meaning.fix(remote) }, { cause: text });
}

/** The line that says most: git's fatal one, and what came before it from ssh or the host. */
function wordsOf(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter(
      (line) => line !== '' && !/^(Please make sure|and the repository exists|fatal: Could not read from)/.test(line),
    );
  const line = lines.find((one) => /^(fatal|error|remote|ssh|ERROR)\b/.test(one)) ?? lines[0] ?? 'git said nothing';
  return line
    .replace(/^(fatal|error): /, '')
    .replace(/[\p{Cc}]/gu, ' ')
    .slice(0, 300);
}

/** Takes secrets out of a text, also as a Basic header carries them. */
function redact(text: string, secrets: readonly string[]): string {
  let clean = text.replace(/(authorization:\s*\S+\s+)\S+/gi, '$1[secret]').replace(/\/\/[^\s/@]+@/g, '//[secret]@');
  for (const secret of secrets) {
    if (secret.length < 4) continue;
    const forms = [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')];
    for (const form of forms) clean = clean.replaceAll(form, '[secret]');
  }
  return clean;
}
