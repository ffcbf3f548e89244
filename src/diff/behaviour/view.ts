import { createSums, type Sums } from '../noise/blocks.js';
import type { Ratio } from '../noise/ratio.js';
import { filtered } from './paths.js';
import type { VcpuBehaviour } from './recorder.js';
import { type Anchor, anchors, stepNamed, steps } from './step.js';

const entry = stepNamed('entry');

/** A path as it is compared: without the steps that one recording cannot show. */
export interface ViewedPath {
  readonly steps: readonly string[];
  readonly trips: Sums;
}

/** Parts of a whole, by key: a Ratio each. */
export class Shares {
  readonly counts = new Map<string, Sums>();
  readonly wholes = new Map<string, Sums>();

  add(whole: string, part: string, trips: Sums): void {
    addTo(this.wholes, whole, trips);
    addTo(this.counts, `${whole} > ${part}`, trips);
  }

  ratio(whole: string, part: string): Ratio {
    return {
      count: this.counts.get(`${whole} > ${part}`) ?? createSums(),
      per: this.wholes.get(whole) ?? createSums(),
    };
  }

  /** Every whole with its parts. */
  *pairs(): Generator<[whole: string, part: string]> {
    for (const key of this.counts.keys()) yield key.split(' > ') as [string, string];
  }
}

function addTo(into: Map<string, Sums>, key: string, trips: Sums): void {
  let sums = into.get(key);
  if (sums === undefined) {
    sums = createSums();
    into.set(key, sums);
  }
  addSums(sums, trips);
}

function addSums(sums: Sums, more: Sums): void {
  for (let block = 0; block < sums.length; block++) sums[block]! += more[block]!;
}

/** What some vcpus of a recording do, in the steps that both recordings can show. */
export class View {
  readonly paths = new Map<string, ViewedPath>();
  /** All trips, of paths that were not kept too. */
  readonly trips = createSums();
  readonly ticks = createSums();
  /** Of each step, what comes next. */
  readonly sequences = new Shares();
  /** Of each step, the last anchor before it. */
  readonly placements = new Shares();
  readonly #counts = new Map<string, Sums>();

  /** @param shows whether both recordings can show a step, by its number */
  constructor(vcpus: readonly VcpuBehaviour[], shows: (step: number) => boolean) {
    for (const { paths, counts, ticks } of vcpus) {
      addSums(this.ticks, ticks);
      counts.forEach((sums, step) => {
        if (sums !== undefined && shows(step)) addTo(this.#counts, steps[step]!.name, sums);
      });
      addSums(this.trips, paths.others);
      for (const path of paths.all()) {
        addSums(this.trips, path.trips);
        this.#add(filtered(path.steps, shows), path.trips);
      }
    }
  }

  /** How often a step happened. */
  count(step: string): Sums {
    return this.#counts.get(step) ?? createSums();
  }

  /** Names of the steps that happened. */
  get happened(): Iterable<string> {
    return this.#counts.keys();
  }

  #add(path: readonly number[], trips: Sums): void {
    const names = path.map((step) => steps[step]!.name);
    const key = names.join(', ');
    let known = this.paths.get(key);
    if (known === undefined) {
      known = { steps: names, trips: createSums() };
      this.paths.set(key, known);
    }
    addSums(known.trips, trips);
    let before = steps[entry]!.name;
    let anchor: Anchor = 'entry';
    for (const name of [...names, before]) {
      this.sequences.add(before, name, trips);
      if (!(anchors as readonly string[]).includes(name)) this.placements.add(name, anchor, trips);
      else anchor = name as Anchor;
      before = name;
    }
  }
}
