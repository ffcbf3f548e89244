import { Bounds } from './bounds.js';

/** Counter frequencies of machines that exist, Hz. */
const usual: readonly number[] = [
  1e6, 2e6, 6e6, 8e6, 10e6, 12e6, 13e6, 16e6, 19.2e6, 20e6, 24e6, 25e6, 26e6, 27e6, 31.25e6, 33.333e6, 38.4e6, 40e6,
  48e6, 50e6, 54e6, 62.5e6, 66.667e6, 74.25e6, 80e6, 83.333e6, 100e6, 120e6, 121.875e6, 125e6, 133.333e6, 150e6,
  156.25e6, 200e6, 250e6, 400e6, 500e6, 1e9, 1.05e9,
];
/** Frequencies that differ by less are not told apart. */
const resolution = 2e-3;
/** Most frequencies that are tried because a pair of equalities suggests them. */
const mostSuggested = 6;
/** Shortest time between two equalities that suggest a frequency, nanoseconds. */
const shortest = 100_000_000;
/** Contradictions by which every other frequency must be worse than the best. */
const lead = 4;

/** Equalities of a line that a new one is compared with: a few may be wrong, or the offset may have changed. */
const compared = 4;

/** What each candidate frequency makes of one line. */
export class Trial {
  /** Bounds by candidate; of use only until an equality is known. */
  readonly bounds: Bounds[] = [];
  /** Constraints in a row that contradicted, by candidate. */
  readonly failures: number[] = [];
  /** The latest equalities. */
  readonly equalities: readonly Bounds[] = Array.from({ length: compared }, () => new Bounds());
  /** Number of equalities, and of all constraints. */
  equal = 0;
  count = 0;
  /** First equality, in whose distance from later ones a frequency shows. */
  readonly first = new Bounds();
  /** Distance at which the next equality may suggest a frequency, nanoseconds. */
  next = shortest;

  /** The best that is known for a candidate. */
  best(candidate: number): Bounds | undefined {
    return this.equal > 0 ? this.equalities[(this.equal - 1) % compared] : this.bounds[candidate];
  }

  /** The same in a clock that shows `offset` less. */
  shift(offset: number): void {
    for (const bounds of [...this.bounds, ...this.equalities, this.first]) bounds.shift(offset);
  }
}

/**
 * Finds the counter's frequency: each candidate has to make a line of the same constraints, and the wrong ones cannot.
 * Besides the usual ones, distances of equalities suggest candidates. One frequency serves all lines of a host.
 */
export class FrequencySearch {
  readonly #rates: number[] = usual.map((hertz) => hertz / 1e9);
  readonly #bad: number[] = this.#rates.map(() => 0);
  /** Candidates that the equality at hand contradicts. */
  readonly #contradicted: number[] = [];
  #suggested = 0;

  /**
   * One more constraint of a line.
   *
   * @returns index of the candidate that has won, -1 while none has
   */
  observe(trial: Trial, constraint: Bounds): number {
    trial.count++;
    const isEquality = constraint.low > Number.NEGATIVE_INFINITY && constraint.high < Number.POSITIVE_INFINITY;
    if (isEquality) return this.#observeEquality(trial, constraint) ? this.#winner() : -1;
    return trial.equal === 0 && this.#observeBound(trial, constraint) ? this.#winner() : -1;
  }

  /** @returns whether a candidate was contradicted */
  #observeEquality(trial: Trial, equality: Bounds): boolean {
    this.#suggest(trial, equality);
    const known = Math.min(trial.equal, compared);
    const contradicted = this.#contradicted;
    contradicted.length = 0;
    for (let at = 0; at < this.#rates.length && known > 0; at++) {
      const rate = this.#rates[at] as number;
      let fits = false;
      for (let i = 0; i < known && !fits; i++) fits = (trial.equalities[i] as Bounds).admits(equality, rate);
      if (!fits) contradicted.push(at);
    }
    // One that no frequency explains is wrong, or of another offset: of frequencies it tells nothing.
    const tells = contradicted.length > 0 && contradicted.length < this.#rates.length;
    if (tells) for (const at of contradicted) this.#bad[at]!++;
    (trial.equalities[trial.equal++ % compared] as Bounds).copy(equality);
    return tells;
  }

  #observeBound(trial: Trial, constraint: Bounds): boolean {
    let contradicted = false;
    for (let at = 0; at < this.#rates.length; at++) {
      const rate = this.#rates[at] as number;
      if (trial.bounds.length <= at) {
        trial.bounds.push(new Bounds());
        trial.failures.push(0);
      }
      const bounds = trial.bounds[at] as Bounds;
      if (bounds.admits(constraint, rate)) {
        bounds.narrow(constraint, rate);
        trial.failures[at] = 0;
        continue;
      }
      contradicted = true;
      this.#bad[at]!++;
      trial.failures[at]!++;
      // One may be wrong; the second in a row means that the line is another.
      if (trial.failures[at]! < 2) continue;
      bounds.copy(constraint);
      trial.failures[at] = 0;
    }
    return contradicted;
  }

  rate(candidate: number): number {
    return this.#rates[candidate] as number;
  }

  /** Whether a frequency is one that machines have. */
  static isUsual(hertz: number): boolean {
    return usual.includes(hertz);
  }

  #winner(): number {
    let best = 0;
    for (let at = 1; at < this.#bad.length; at++) if (this.#bad[at]! < this.#bad[best]!) best = at;
    for (let at = 0; at < this.#bad.length; at++) {
      if (at === best || close(this.#rates[at]!, this.#rates[best]!)) continue;
      if (this.#bad[at]! < 2 * this.#bad[best]! + lead) return -1;
    }
    return best;
  }

  #suggest(trial: Trial, equality: Bounds): void {
    const { first } = trial;
    if (trial.equal === 0) {
      first.copy(equality);
      return;
    }
    const distance = equality.lowTime - first.lowTime;
    if (distance < trial.next) return;
    trial.next = 2 * distance;
    // To whole kilohertz: no counter has another frequency.
    const rate = Math.round((1e6 * (equality.low - first.low)) / distance) / 1e6;
    if (!(rate >= 1e-3 && rate <= 10) || this.#suggested >= mostSuggested) return;
    if (this.#rates.some((known) => close(known, rate))) return;
    this.#suggested++;
    this.#rates.push(rate);
    // It has not been tried from the start: it may not win by that.
    this.#bad.push(Math.min(...this.#bad));
  }
}

function close(a: number, b: number): boolean {
  return Math.abs(a - b) < resolution * b;
}
