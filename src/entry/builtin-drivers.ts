/** The drivers that come with the package, by name, as URLs that any thread can import. */
export const builtinDrivers: Readonly<Record<string, URL>> = {
  zip: new URL('../../drivers/zip/index.js', import.meta.url),
  copy: new URL('../../drivers/copy/index.js', import.meta.url),
};
