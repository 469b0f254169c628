import type { Log } from '#base/log.ts';
import type { Notices } from '#database/notices.ts';
import type { Repository } from '#git/repository.ts';
import type { Environments } from '#publish/environments.ts';

/** The domains below which projects are served, as the newest revision has them. */
export interface ProjectDomains {
  current(): readonly string[];
}

/** Follows the environments. While one cannot be read, what was known of them before still counts. */
export async function followProjectDomains(
  parts: { readonly environments: Environments; readonly repository: Repository; readonly notices: Notices },
  log: Log,
): Promise<ProjectDomains> {
  const { environments, repository, notices } = parts;
  let domains: readonly string[] = [];
  const read = async () => {
    try {
      const tip = await repository.tip();
      if (tip !== undefined) domains = [...(await environments.at(tip)).values()].map(({ domain }) => domain);
    } catch (error) {
      log.warn({ err: error }, 'the domains of projects cannot be read anew');
    }
  };
  await read();
  notices.on('revisions', () => void read());
  notices.onGap(() => void read());
  return { current: () => domains };
}
