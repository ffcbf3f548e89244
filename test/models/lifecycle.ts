import { fileInput, type Input, readInput } from '../../src/check/read.js';
import { TraceRun } from '../../src/check/trace-run.js';
import { Certainty, type TimerEvent } from '../../src/events/event.js';
import { Kind, type KindName, kindNames } from '../../src/events/kinds.js';
import type { Lifecycle, StateName } from '../../src/models/design.js';
import { designs } from '../../src/models/designs/index.js';
import { modelIds } from '../../src/models/model.js';
import { defineRule } from '../../src/rules/rule.js';

/** A step that no path of the automaton has. */
export interface OffPath {
  readonly position: number;
  readonly vcpu: number;
  readonly event: string;
  readonly from: readonly string[];
}

/** How a recording's vcpus went through the lifecycle of its model. */
export interface Walk {
  readonly model: string | null;
  /** Events that the automaton took. */
  readonly steps: number;
  /** Transitions that were taken with certainty, as `FROM event TO`. */
  readonly taken: ReadonlySet<string>;
  readonly offPath: readonly OffPath[];
  /** False where records were lost: a CPU's buffer may then end early, and no mark in the stream says what its vcpu did. */
  readonly complete: boolean;
}

const everywhere = (lifecycle: Lifecycle) => new Set(Object.keys(lifecycle.states) as StateName[]);

/**
 * Walks each vcpu of a recording through its model's automaton. Where it may be anywhere (at the start, after a loss) it
 * is in all states at once; an event whose hook the trace does not record may happen unseen at any time; one that was
 * only placed by a neighbouring record leaves the place open.
 */
export async function walk(path: string, content?: string): Promise<Walk> {
  const places = new Map<number, Set<StateName>>();
  const taken = new Set<string>();
  const offPath: OffPath[] = [];
  const last = new Map<number, string>();
  let steps = 0;

  const rule = defineRule({
    id: 'lifecycle',
    statement: '',
    why: '',
    models: Object.fromEntries(modelIds.map((id) => [id, 'error' as const])),
    needs: [],
    source: '',
    messages: {},
    examples: { legal: [], violating: [] },
    create(context) {
      const { lifecycle } = designs[context.model.id];
      const alphabet = new Set<KindName>(lifecycle.transitions.map(({ event }) => event));

      /** The states that can be reached by what the trace does not record. */
      const unseen = (from: ReadonlySet<StateName>): Set<StateName> => {
        const all = new Set(from);
        for (const state of all)
          for (const { from: at, event, to } of lifecycle.transitions)
            if (at === state && !context.records(Kind[event])) all.add(to);
        return all;
      };

      const handler = (event: TimerEvent): void => {
        if (event.vcpu < 0) return;
        const name = kindNames[event.kind] as KindName;
        // kvm_arch_vcpu_blocking calls kvm_timer_schedule: probes on both show one hook twice.
        const again = last.get(event.vcpu) === name && (name === 'schedule' || name === 'unschedule');
        if (event.kind !== Kind.vtimer_irq) last.set(event.vcpu, name);
        if (again) return;
        // At the start and after a loss loads and puts may stay unseen, until one event shows where the vcpu is.
        if (!places.has(event.vcpu) && event.kind !== Kind.entry && event.kind !== Kind.put) return;
        const before = unseen(places.get(event.vcpu) ?? everywhere(lifecycle));
        if (event.certainty >= Certainty.approximate || event.attribution >= Certainty.approximate) {
          places.set(event.vcpu, everywhere(lifecycle));
          return;
        }
        const ways = lifecycle.transitions.filter(({ from, event: on }) => on === name && before.has(from));
        steps++;
        const [only] = ways;
        if (ways.length === 1 && only !== undefined) taken.add(`${only.from} ${name} ${only.to}`);
        if (ways.length === 0)
          offPath.push({ position: event.position, vcpu: event.vcpu, event: name, from: [...before] });
        places.set(event.vcpu, ways.length === 0 ? everywhere(lifecycle) : new Set(ways.map(({ to }) => to)));
      };
      return {
        before: {
          ...Object.fromEntries([...alphabet].map((name) => [name, handler])),
          lost: () => places.clear(),
        },
      };
    },
  });

  let run: TraceRun | undefined;
  const input: Input =
    content === undefined
      ? fileInput(path)
      : {
          path,
          async *open() {
            yield Buffer.from(content);
          },
        };
  for await (const _ of readInput(input, undefined, (format: string) => {
    run = new TraceRun(path, format, {}, [rule]);
    return run;
  })) {
    run?.facts.splice(0);
  }
  const summary = run?.end();
  const complete = summary?.conditions.every(({ severity }) => severity !== 'loss') ?? false;
  return { model: run?.modelChoice.id ?? null, steps, taken, offPath, complete };
}
