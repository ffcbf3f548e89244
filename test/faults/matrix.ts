/** Which faults lead to which rules, over the generations of kernels that have recordings. */
export class Matrix {
  readonly #rules: readonly string[];
  /** By rule, then by generation: kinds of faults that it answered there. */
  readonly #answers = new Map<string, Map<string, Set<string>>>();
  /** By rule: generations in whose recordings, as they are, it holds. */
  readonly #held = new Map<string, Set<string>>();
  readonly #generations = new Set<string>();
  readonly #faults = new Set<string>();

  /** @param rules ids in the order of the catalogue */
  constructor(rules: readonly string[]) {
    this.#rules = rules;
  }

  /** A rule was decided in a recording without a fault. */
  held(rule: string, recording: string): void {
    const generation = generationOf(recording);
    this.#generations.add(generation);
    setIn(this.#held, rule).add(generation);
  }

  /** A rule answered a fault; `-` where nothing was to be violated. */
  answered(fault: string, recording: string, rule: string): void {
    const generation = generationOf(recording);
    this.#generations.add(generation);
    this.#faults.add(fault);
    const [id = rule] = rule.split('/');
    let byGeneration = this.#answers.get(id);
    if (byGeneration === undefined) {
      byGeneration = new Map();
      this.#answers.set(id, byGeneration);
    }
    setIn(byGeneration, generation).add(fault);
  }

  /** Rules that the recordings decide and no kind of fault has led to. */
  unanswered(): string[] {
    return this.#rules.filter((rule) => this.#held.has(rule) && !this.#answers.has(rule));
  }

  /** Two tables: kinds of faults by rules, and how many kinds each rule answered, by generation. */
  toString(): string {
    return `${this.#byFault()}\n\n${this.#byGeneration()}`;
  }

  /** A row a kind of fault, a column a rule: the number of generations in which the rule answered it. */
  #byFault(): string {
    const rules = this.#rules.filter((rule) => this.#answers.has(rule));
    const width = Math.max(...[...this.#faults].map((fault) => fault.length));
    const legend = rules.map((rule, index) => `  ${String(index + 1).padStart(2)} ${rule}`);
    const rows = [...this.#faults].sort().map((fault) => {
      const cells = rules.map((rule) => {
        const count = [...(this.#answers.get(rule) ?? [])].filter(([, kinds]) => kinds.has(fault)).length;
        return (count === 0 ? '.' : String(count)).padStart(3);
      });
      return `${fault.padEnd(width)}${cells.join('')}`;
    });
    const head = `${''.padEnd(width)}${rules.map((_, index) => String(index + 1).padStart(3)).join('')}`;
    return [
      'kinds of faults by rules: generations of kernels in which the rule answers',
      ...legend,
      head,
      ...rows,
    ].join('\n');
  }

  /** A row a rule, a column a generation: kinds of faults, `-` where the recordings do not decide the rule. */
  #byGeneration(): string {
    const generations = [...this.#generations].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    const width = Math.max(...this.#rules.map((rule) => rule.length));
    const rows = this.#rules.map((rule) => {
      const cells = generations.map((generation) => {
        const kinds = this.#answers.get(rule)?.get(generation)?.size;
        const isDecided = this.#held.get(rule)?.has(generation) === true;
        return String(kinds ?? (isDecided ? 0 : '-')).padStart(8);
      });
      return `${rule.padEnd(width)}${cells.join('')}`;
    });
    const head = `${''.padEnd(width)}${generations.map((generation) => generation.padStart(8)).join('')}`;
    return ['kinds of faults that a rule answers, by generation (- not decided there)', head, ...rows].join('\n');
  }
}

/** `5.10` of the recording `5.10-nvhe-kp-mixed`; what names no kernel is of the one that breaks on purpose. */
function generationOf(recording: string): string {
  return /^(\d+\.\d+|rfc)/.exec(recording)?.[1] ?? 'broken';
}

function setIn<K>(map: Map<K, Set<string>>, key: K): Set<string> {
  let set = map.get(key);
  if (set === undefined) {
    set = new Set();
    map.set(key, set);
  }
  return set;
}
