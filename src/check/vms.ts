import type { Vcpu } from '../track/threads.js';

/** Which vcpus form a VM, and how surely that is known (specification §3.5). */
export interface VmGrouping {
  /** VM number by vcpu index, from 0 in order of the first vcpu's thread. */
  readonly vmOf: readonly number[];
  readonly certainty: readonly ('recorded' | 'derived' | 'assumed')[];
  readonly count: number;
  /** Whether any vcpu's VM is only assumed and could be another. */
  readonly assumed: boolean;
}

/**
 * Groups vcpus to VMs. Certain: the notation or the recorder names the VM, or the recording has thread groups (one VM per process).
 * Derived: probes showed the counter offset, which all vcpus of a VM share and which no two VMs do. Otherwise
 * assumed: threads named alike belong together, ids do not repeat within a VM, and a VM's threads are created one
 * after the other.
 */
export function groupVms(vcpus: readonly Vcpu[], comm: (pid: number) => string): VmGrouping {
  const real = vcpus.filter((vcpu) => vcpu.thread >= 0);
  const certainty: ('recorded' | 'derived' | 'assumed')[] = vcpus.map(() => 'assumed');
  const keys = new Map<number, string>();
  for (const vcpu of real) {
    if (vcpu.vm >= 0) {
      keys.set(vcpu.index, `vm ${vcpu.vm}`);
      certainty[vcpu.index] = 'recorded';
    } else if (vcpu.tgid >= 0) {
      keys.set(vcpu.index, `tgid ${vcpu.tgid}`);
      certainty[vcpu.index] = 'recorded';
    }
  }
  const open = real.filter((vcpu) => !keys.has(vcpu.index));
  groupByOffset(open, keys, certainty);
  groupByName(
    open.filter((vcpu) => !keys.has(vcpu.index)),
    keys,
    comm,
  );
  const numbers = new Map<string, number>();
  const vmOf = vcpus.map(() => 0);
  for (const vcpu of [...real].sort((a, b) => a.thread - b.thread)) {
    const key = keys.get(vcpu.index) as string;
    if (!numbers.has(key)) numbers.set(key, numbers.size);
    vmOf[vcpu.index] = numbers.get(key) as number;
  }
  const assumed = real.length > 1 && real.some((vcpu) => certainty[vcpu.index] === 'assumed');
  return { vmOf, certainty, count: numbers.size, assumed };
}

/** Equal offsets, unless ids repeat within them: then the offset was changed by userspace and says nothing. */
function groupByOffset(
  vcpus: readonly Vcpu[],
  keys: Map<number, string>,
  certainty: ('recorded' | 'derived' | 'assumed')[],
): void {
  const byOffset = new Map<string, Vcpu[]>();
  for (const vcpu of vcpus) {
    if (vcpu.offset === undefined) return;
    byOffset.set(vcpu.offset, [...(byOffset.get(vcpu.offset) ?? []), vcpu]);
  }
  for (const group of byOffset.values()) if (new Set(group.map((vcpu) => vcpu.id)).size < group.length) return;
  // More groups than the ids need means that some vcpu showed an older offset than its sisters.
  if (byOffset.size > mostPerId(vcpus)) return;
  for (const [offset, group] of byOffset) {
    for (const vcpu of group) {
      keys.set(vcpu.index, `offset ${offset}`);
      certainty[vcpu.index] = 'derived';
    }
  }
}

function mostPerId(vcpus: readonly Vcpu[]): number {
  const counts = new Map<number, number>();
  for (const vcpu of vcpus) counts.set(vcpu.id, (counts.get(vcpu.id) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}

/** "CPU 0/KVM" and "CPU 1/KVM" are alike, "kvm-vcpu-0" is another family. */
function family(name: string): string {
  return name.replace(/\d+/g, '#');
}

function groupByName(vcpus: readonly Vcpu[], keys: Map<number, string>, comm: (pid: number) => string): void {
  const families = new Map<string, Vcpu[]>();
  for (const vcpu of [...vcpus].sort((a, b) => a.thread - b.thread)) {
    const name = family(comm(vcpu.thread));
    families.set(name, [...(families.get(name) ?? []), vcpu]);
  }
  for (const [name, members] of families) {
    const vms: { ids: Set<number>; key: string }[] = [];
    for (const vcpu of members) {
      // The first VM in which the id is still free: threads of two VMs may be created in turn.
      let vm = vms.find((candidate) => vcpu.id < 0 || !candidate.ids.has(vcpu.id));
      if (vm === undefined) {
        vm = { ids: new Set(), key: `name ${name} ${vms.length}` };
        vms.push(vm);
      }
      vm.ids.add(vcpu.id);
      keys.set(vcpu.index, vm.key);
    }
  }
}
