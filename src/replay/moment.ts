import type { VcpuName } from '../check/facts.js';
import type { Mark } from '../cost/derive.js';
import { formatU64 } from '../events/u64.js';
import { type Known, nowhere, type TimerContext, type VcpuState, yes } from '../machine/state.js';

/** What the machine knows of a vcpu's virtual timer after an event. */
export interface TimerState {
  /** CPU on which the vcpu is loaded; `none`, or `?`. */
  readonly loadedOn: string;
  /** CTL as letters, `EIS` with `-` for a bit that is not set, `???` while it is not known. */
  readonly ctl: string;
  /** Deadline in counter ticks, hexadecimal. */
  readonly cval: string;
  /** Whether the hardware holds the registers. */
  readonly inHardware: string;
  readonly level: string;
  readonly backgroundTimer: string;
  readonly place: string;
}

/** What the kernel of the model did after an event, and before the next one of the same run of its functions. */
export interface MomentEffect {
  /** Operation of the design, `wr_cval`. */
  readonly operation: string;
  /** As the models print it, with its operand and timer. */
  readonly text: string;
  /** The kernel's function. */
  readonly kernel: string;
  /** It only changes what the kernel keeps in memory. */
  readonly inMemory: boolean;
  /** A record of its own shows it, it follows from what is known, or the usual case was taken where nothing tells. */
  readonly mark: Mark;
}

/** One event of a replay: what happened, and what the machine knows since. */
export interface Moment {
  /** Seconds in the trace's clock with nine decimals. */
  readonly time: string;
  readonly position: { readonly line?: number; readonly offset?: number };
  readonly cpu: number;
  readonly pid: number;
  readonly comm: string;
  /** Null where the event belongs to no vcpu. */
  readonly vcpu: VcpuName | null;
  /** Canonical kind. */
  readonly event: string;
  /** Name of the timer context, empty where it is the virtual timer's or the event is of none. */
  readonly timer: string;
  /** In the kernel's spelling. */
  readonly text: string;
  /** recorded, derived, approximate. */
  readonly certainty: string;
  /** Null where the event belongs to no vcpu. */
  readonly state: TimerState | null;
  /** Names of the fields of `state` that are other than after the vcpu's event before. */
  readonly changed: readonly (keyof TimerState)[];
  /** What followed it until the next event of its run. */
  readonly effects: readonly MomentEffect[];
}

function known(value: Known, whenYes: string, whenNo: string): string {
  return value < 0 ? '?' : value === yes ? whenYes : whenNo;
}

function letters(ctl: number): string {
  if (ctl < 0) return '???';
  return `${ctl & 1 ? 'E' : '-'}${ctl & 2 ? 'I' : '-'}${ctl & 4 ? 'S' : '-'}`;
}

/** What the registers hold as far as it is known: in hardware what was restored, unless the guest ran since. */
function registers(context: TimerContext): { ctl: number; cval: string } {
  if (context.loaded === yes) {
    const isOpen = context.enteredSinceRestore !== 0;
    return {
      ctl: isOpen ? -1 : context.restoredCtl,
      cval: isOpen || !context.restoredCvalKnown ? '?' : formatU64(context.restoredCvalHi, context.restoredCvalLo),
    };
  }
  return { ctl: context.ctl, cval: context.cvalKnown ? formatU64(context.cvalHi, context.cvalLo) : '?' };
}

function placeOf(vcpu: VcpuState): string {
  if (vcpu.inGuest === yes) return 'guest';
  if (vcpu.cpu >= 0) return vcpu.blocked === yes ? 'waiting' : 'host';
  if (vcpu.cpu !== nowhere) return '?';
  return vcpu.blocked === yes ? 'asleep' : 'out';
}

/** What is known of a vcpu. */
export function stateOf(vcpu: VcpuState): TimerState {
  const context = vcpu.vtimer;
  const { ctl, cval } = registers(context);
  return {
    loadedOn: vcpu.cpu >= 0 ? String(vcpu.cpu) : vcpu.cpu === nowhere ? 'none' : '?',
    ctl: letters(ctl),
    cval,
    inHardware: known(context.loaded, 'hardware', 'memory'),
    level: known(context.level, '1', '0'),
    backgroundTimer: known(vcpu.bgArmed, 'armed', '-'),
    place: placeOf(vcpu),
  };
}

/** Fields in which two states differ; all that are known where there is none before. */
export function changes(before: TimerState | undefined, after: TimerState): (keyof TimerState)[] {
  const names = Object.keys(after) as (keyof TimerState)[];
  return names.filter((name) => (before === undefined ? !after[name].startsWith('?') : before[name] !== after[name]));
}
