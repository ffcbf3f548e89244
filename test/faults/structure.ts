import { exceptionClass, type Line } from './inject.js';

// What happens in a recording, seen from the threads that run a vcpu: the places where a fault can be put in.

/** A vcpu thread's steps; `both` is a timer-only put and load around a trapped register access. */
export type StepKind = 'out' | 'in' | 'put' | 'load' | 'both' | 'entry' | 'exit' | 'user' | 'wait' | 'woken' | 'other';

export interface Step {
  readonly kind: StepKind;
  /** One line, or the lines of a burst. */
  readonly lines: readonly Line[];
  readonly thread: number;
  readonly cpu: number;
}

/** One scheduling round of a vcpu thread: out, put, in, load, entry, exit, with nothing else between. */
export interface Round {
  readonly out: Step;
  readonly put: Step;
  readonly in: Step;
  readonly load: Step;
  readonly entry: Step;
  readonly exit: Step;
  /** The step before `out`. */
  readonly previous: Step;
}

/** One vtimer interrupt: irq_handler_entry to irq_handler_exit on one CPU. */
export interface Interrupt {
  readonly begin: Line;
  readonly end: Line;
  /** Everything that CPU wrote in between. */
  readonly inside: readonly Line[];
}

/** Events of kvm_arch_vcpu_load and _put, tracepoints and probes. */
const burstEvents = new Set([
  ...['kvm_get_timer_map', 'kvm_timer_update_irq', 'vgic_update_irq_pending', 'kvm_timer_emulate'],
  ...['kvm_timer_save_state', 'kvm_timer_restore_state', 'hrtimer_start', 'hrtimer_cancel', 'vcpu_kick'],
  ...['vcpu_load', 'vcpu_put', 'timer_load', 'timer_put', 'update_irq', 'irqchip_state', 'set_cntvoff'],
  ...['vtimer_save', 'vtimer_restore', 'set_irqchip_state', 'phys_timer_emulate'],
]);

const threadEvents = new Set([
  ...['sched_switch', 'kvm_entry', 'kvm_exit', 'kvm_timer_save_state', 'kvm_timer_restore_state'],
  ...['vcpu_load', 'vcpu_put', 'kvm_wfx_arm64', 'kvm_userspace_exit'],
]);

/** The interrupt flag of tracefs' text (`d.h1.`); undefined where the line has no flags. */
function interruptFlag({ head }: Line): boolean | undefined {
  const flags = /\]\s+[\w.#]{2}([\w.#])[\w.#]*\s+$/.exec(head);
  return flags === null ? undefined : flags[1] !== '.';
}

const single: Readonly<Record<string, StepKind>> = {
  kvm_entry: 'entry',
  kvm_exit: 'exit',
  kvm_userspace_exit: 'user',
  kvm_wfx_arm64: 'wait',
  kvm_vcpu_wakeup: 'woken',
};

/** Exception classes of system register accesses, which may be writes of a timer register. */
const accessClasses = [0x03, 0x04, 0x05, 0x06, 0x08, 0x0c, 0x18];

/** A recording and its structure. */
export class Recording {
  readonly name: string;
  readonly lines: readonly Line[];
  readonly index = new Map<Line, number>();
  /** Index of the last line behind which every CPU has another record. */
  readonly wholeUntil: number;
  readonly steps = new Map<number, Step[]>();
  readonly rounds: Round[] = [];
  readonly interrupts: Interrupt[] = [];
  readonly cpus: number;
  readonly host: 'vhe' | 'nvhe';
  /** The kernel traces saves and restores: 5.1 and later. */
  readonly isTraced: boolean;
  /** A kernel of up to 4.14: neither timer maps nor the interrupt of the guest timer. */
  readonly isWorldSwitch: boolean;
  /** Lines of hard interrupt handlers; a vcpu thread's own records are the rest. */
  readonly #inInterrupt = new Set<Line>();

  constructor(name: string, lines: readonly Line[]) {
    this.name = name;
    this.lines = lines;
    const lastOfCpu = new Map<number, number>();
    lines.forEach((line, index) => {
      this.index.set(line, index);
      if (line.event !== '') lastOfCpu.set(line.cpu, index);
    });
    this.wholeUntil = Math.min(...lastOfCpu.values()) - 1;
    this.cpus = Math.max(0, ...new Set(lines.map((line) => line.cpu))) + 1;
    this.isTraced = lines.some(({ event }) => event === 'kvm_timer_save_state');
    // Before timer maps only the name of the recording tells.
    const direct = lines.some((line) => line.event === 'kvm_get_timer_map' && line.args.includes('dp: 0'));
    this.host = direct || (!this.isTraced && this.name.includes('-vhe-')) ? 'vhe' : 'nvhe';
    for (const line of lines) if (line.event === 'kvm_entry') this.steps.set(line.pid, []);
    this.isWorldSwitch = !this.has('kvm_get_timer_map') && !lines.some(({ args }) => args.includes('kvm guest timer'));
    this.#findInterrupts();
    this.#findSteps();
    for (const steps of this.steps.values()) this.#findRounds(steps);
    this.rounds.sort((a, b) => this.at(a.out) - this.at(b.out));
  }

  /** Whether any record of an event exists. */
  has(event: string): boolean {
    return this.lines.some((line) => line.event === event);
  }

  /** Index of a line or of a step's first line. */
  at(place: Line | Step): number {
    return this.index.get('lines' in place ? (place.lines[0] as Line) : place) ?? -1;
  }

  /** Index of a step's last line. */
  endOf(step: Step): number {
    return this.index.get(last(step)) ?? -1;
  }

  inInterrupt(line: Line): boolean {
    return this.#inInterrupt.has(line);
  }

  /** Whether a vcpu thread is inside `kvm_arch_vcpu_load … put` at a line, by its steps; undefined when unknown. */
  loadedOn(thread: number, index: number): number | undefined {
    let cpu: number | undefined;
    for (const step of this.steps.get(thread) ?? []) {
      if (this.at(step) > index) break;
      // Half a burst: something stands between its probe and its registers.
      if (step.lines.some(({ event }) => event === 'vcpu_load' || event === 'vcpu_put')) cpu = undefined;
      if (step.kind === 'put') cpu = this.endOf(step) < index ? -1 : undefined;
      else if (step.kind === 'load' || step.kind === 'entry' || step.kind === 'exit') cpu = step.cpu;
      else if (step.kind === 'both') cpu = step.cpu;
    }
    return cpu;
  }

  /** The next line after an index for which the predicate holds. */
  next(index: number, predicate: (line: Line) => boolean): Line | undefined {
    for (let i = index + 1; i < this.lines.length; i++) {
      const line = this.lines[i] as Line;
      if (predicate(line)) return line;
    }
    return undefined;
  }

  #findInterrupts(): void {
    const open: { stack: Line[]; inside: Line[] | undefined }[] = [];
    for (const line of this.lines) {
      if (line.event === '') continue;
      open[line.cpu] ??= { stack: [], inside: undefined };
      const cpu = open[line.cpu] as { stack: Line[]; inside: Line[] | undefined };
      // Where no irq_handler_exit is recorded, what only a thread writes ends the handler.
      if (threadEvents.has(line.event)) {
        cpu.stack = [];
        cpu.inside = undefined;
      }
      if (line.event === 'irq_handler_entry') {
        cpu.stack.push(line);
        cpu.inside = /kvm guest v?timer/.test(line.args) ? [] : undefined;
        this.#inInterrupt.add(line);
      } else if (line.event === 'irq_handler_exit') {
        const begin = cpu.stack.pop();
        if (begin !== undefined && cpu.inside !== undefined)
          this.interrupts.push({ begin, end: line, inside: cpu.inside });
        cpu.inside = undefined;
        this.#inInterrupt.add(line);
      } else if (interruptFlag(line) ?? cpu.stack.length > 0) {
        cpu.inside?.push(line);
        this.#inInterrupt.add(line);
      }
    }
  }

  #findSteps(): void {
    const bursts = new Map<number, Line[]>();
    const close = (thread: number) => {
      const lines = bursts.get(thread) ?? [];
      bursts.delete(thread);
      if (lines.length === 0) return;
      // Up to 5.0 a schedule saves as well: there the probes of the functions tell a put and a load.
      const saves = lines.some(({ event }) => event === (this.isTraced ? 'kvm_timer_save_state' : 'vcpu_put'));
      const restores = lines.some(({ event }) => event === (this.isTraced ? 'kvm_timer_restore_state' : 'vcpu_load'));
      const kind = saves ? (restores ? 'both' : 'put') : restores ? 'load' : 'other';
      this.steps.get(thread)?.push({ kind, lines, thread, cpu: (lines[0] as Line).cpu });
    };
    const push = (thread: number, kind: StepKind, line: Line) => {
      if (!this.steps.has(thread)) return;
      close(thread);
      this.steps.get(thread)?.push({ kind, lines: [line], thread, cpu: line.cpu });
    };
    for (const line of this.lines) {
      if (line.event === '' || this.#inInterrupt.has(line)) continue;
      if (line.event === 'sched_switch') {
        push(Number(/prev_pid=(\d+)/.exec(line.args)?.[1]), 'out', line);
        push(Number(/next_pid=(\d+)/.exec(line.args)?.[1]), 'in', line);
      } else if (!this.steps.has(line.pid)) continue;
      else if (burstEvents.has(line.event)) {
        const burst = bursts.get(line.pid);
        if (burst === undefined) bursts.set(line.pid, [line]);
        else burst.push(line);
      } else push(line.pid, single[line.event] ?? 'other', line);
    }
    for (const thread of bursts.keys()) close(thread);
  }

  #findRounds(all: readonly Step[]): void {
    const steps = all.filter(({ kind }) => kind !== 'wait' && kind !== 'woken' && kind !== 'other');
    const kinds = ['out', 'put', 'in', 'load', 'entry', 'exit'];
    for (let i = 1; i + kinds.length <= steps.length; i++) {
      const found = steps.slice(i, i + kinds.length);
      if (!found.every((step, k) => step.kind === kinds[k])) continue;
      const [out, put, into, load, entry, exit] = found as [Step, Step, Step, Step, Step, Step];
      this.rounds.push({ out, put, in: into, load, entry, exit, previous: steps[i - 1] as Step });
    }
  }
}

export function first(step: Step): Line {
  return step.lines[0] as Line;
}

export function last(step: Step): Line {
  return step.lines[step.lines.length - 1] as Line;
}

/** The lines of a step with one event. */
export function linesOf(step: { readonly lines: readonly Line[] }, event: string): Line[] {
  return step.lines.filter((line) => line.event === event);
}

/** The save or restore of one context in a burst. */
export function registersOf(step: Step, timer: number): Line | undefined {
  return step.lines.find(
    (line) =>
      (line.event === 'kvm_timer_save_state' || line.event === 'kvm_timer_restore_state') &&
      line.args.endsWith(`arch_timer_ctx_index: ${timer}`),
  );
}

/**
 * Whether nothing but KVM can have changed the registers between a round's put and its load: the put is the
 * scheduler's, inside KVM_RUN, and the exit before it was no register access.
 */
export function isDecidable({ previous, exit, entry, out }: Round): boolean {
  if (previous.kind !== 'exit' && previous.kind !== 'load') return false;
  return (
    !accessClasses.includes(exceptionClass(last(previous))) &&
    !accessClasses.includes(exceptionClass(last(exit))) &&
    entry.cpu === exit.cpu &&
    out.cpu === previous.cpu
  );
}
