/** Members of a class by a private name: its declaration, at the beginning of a line, and its uses. */
const declaration = /^( +(?:(?:static|readonly|async|get|set) |\*)*)#(?=[a-z])/gm;
const use = /(?<=\.)#(?=[a-z])/g;

/**
 * A source whose private names are ordinary ones. Code that is not optimised yet, that is to say most of a short run's,
 * takes twice as long to look up a private name. What they protect from has been checked by then.
 *
 * @param path of the source: a class in another file that extends one of this may have the same private names
 */
export function withoutPrivateNames(source: string, path: string): string {
  const prefix = `private_${path.replace(/\W/g, '_')}_`;
  return source.replace(declaration, `$1${prefix}`).replace(use, prefix);
}
