const host =
  '(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\\[[a-fA-F0-9:]+\\])(?::\\d+)?';
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const form = new RegExp(
  `^(?<name>(?:${host}/)?${component}(?:/${component})*)(?::(?<tag>\\w[\\w.-]{0,127}))?(?:@(?<digest>[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}))?$`,
);

export interface Image {
  readonly name: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** Reads a reference of the form [host[:port]/]path[:tag][@digest], or undefined where it is none. */
export function parseImage(text: string): Image | undefined {
  if (text.length > 255) return undefined;
  const { name, tag, digest } = form.exec(text)?.groups ?? {};
  return name === undefined ? undefined : { name, tag, digest };
}
