/** What rvgen makes of a file (automata.py of Linux 6.12 to 6.19), by its own rules: lines, words, and nothing else. */
export interface RvAutomaton {
  readonly states: readonly string[];
  readonly initial: string;
  readonly final: readonly string[];
  readonly events: readonly string[];
  /** By state and event; absent where the event is not allowed. */
  readonly matrix: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Events on which a monitor starts: those that always lead to the initial state. */
  readonly starts: readonly string[];
}

const words = (line: string) => line.trim().split(/\s+/);
const bare = (word: string) => word.replaceAll('"', '').replace('};', '');

/**
 * Reads the Graphviz form of a deterministic automaton.
 * @throws Error where rvgen would fail or read something else than what is written
 */
export function readRv(text: string): RvAutomaton {
  const lines = text.split('\n');
  const [first] = lines;
  if (words(first!).slice(0, 2).join(' ') !== 'digraph state_automaton') throw new Error('not a state_automaton');
  const begin = lines.findIndex((line) => words(line)[0] === '{node');
  let cursor = begin;
  const nodes: string[] = [];
  const final: string[] = [];
  let initial = '';
  for (; words(lines[cursor]!)[0] === '{node'; cursor++) {
    const name = bare(words(lines[cursor]!).at(-1)!);
    if (name.startsWith('__init_')) {
      initial = name.slice('__init_'.length);
      continue;
    }
    nodes.push(name);
    if (/doublecircle|ellipse/.test(lines[cursor]!)) final.push(name);
  }
  if (!nodes.includes(initial)) throw new Error(`the initial state '${initial}' is no state`);
  const states = [initial, ...[...new Set(nodes)].filter((name) => name !== initial).sort()];
  // One line is skipped unread: the edge to the initial state.
  if (words(lines[cursor]!).join(' ') !== `"__init_${initial}" -> "${initial}";`)
    throw new Error(`line ${cursor + 1}: the edge to the initial state is not where it is skipped`);
  cursor++;
  const matrix: Record<string, Record<string, string>> = Object.fromEntries(states.map((state) => [state, {}]));
  const events = new Set<string>();
  for (; lines[cursor]!.trimStart().startsWith('"'); cursor++) {
    const parts = words(lines[cursor]!);
    if (parts[1] !== '->') {
      const label = lines[cursor]!.split('label')[1]?.split('"')[1];
      if (label !== bare(parts[0]!)) throw new Error(`line ${cursor + 1}: the label is not the state's name`);
      continue;
    }
    const [from, to] = [bare(parts[0]!), bare(parts[2]!)];
    const at = parts.indexOf('label');
    if (at < 0 || parts.at(-1) !== '];') throw new Error(`line ${cursor + 1}: the label is not spaced as it is read`);
    for (const event of bare(parts.slice(at + 2, -1).join('')).split('\\n')) {
      if (matrix[from] === undefined || matrix[to] === undefined) throw new Error(`line ${cursor + 1}: unknown state`);
      if (matrix[from][event] !== undefined) throw new Error(`'${event}' leads from ${from} to two states`);
      matrix[from][event] = to;
      events.add(event);
    }
  }
  const targets = (event: string) => states.flatMap((state) => matrix[state]![event] ?? []);
  const starts = [...events].filter((event) => targets(event).every((to) => to === initial));
  return { states, initial, final, events: [...events].sort(), matrix, starts };
}
