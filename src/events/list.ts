/**
 * An empty list of objects. V8 takes an array literal without elements for one of small integers: code that it has made
 * for lists of objects would be thrown away at the beginning of every further trace. With a hole in the beginning the
 * list is of the most general kind from the first, and remains so.
 */
export function emptyList<T extends object>(): T[] {
  const list = new Array<T>(1);
  list[0] = {} as T;
  list.pop();
  return list;
}
