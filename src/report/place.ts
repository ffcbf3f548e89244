import type { Position, VcpuName } from '../check/facts.js';
import { printable } from './printable.js';

/** A position in words: `line 12`, `offset 4096`. */
export function positionWords(position: Position): string {
  if (position.line !== undefined) return `line ${position.line}`;
  if (position.offset !== undefined) return `offset ${position.offset}`;
  return 'unknown place';
}

/** A path as people name it: `-` is standard input. */
export function pathName(path: string): string {
  return path === '-' ? 'standard input' : path;
}

/** A position with its file, in the form that editors open: `trace.txt:12`. */
export function placeWords(path: string, position: Position): string {
  if (position.line !== undefined && path !== '-') return `${path}:${position.line}`;
  return `${pathName(path)} ${positionWords(position)}`;
}

/** A thread as ftrace names it, `comm-pid`, printable; the pid alone where no record named it, as in a native trace. */
export function threadWords(comm: string, pid: number): string {
  if (pid < 0) return '-';
  return comm === '' ? `pid ${pid}` : `${printable(comm)}-${pid}`;
}

/** A vcpu as ftrace and the kernel name it: vcpu id, VM, thread. */
export function vcpuWords(vcpu: VcpuName | null): string {
  if (vcpu === null) return 'no vcpu';
  return `vcpu ${vcpu.id < 0 ? '?' : vcpu.id} of VM ${vcpu.vm}, thread ${threadWords(vcpu.comm, vcpu.pid)}`;
}

/** A number with its noun: `1 event`, `2 events`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
