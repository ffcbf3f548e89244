import type { ModelId } from '../models/model.js';

/** How a trace shows a bug: what a rule answers, under which of its messages. */
export interface Sign {
  readonly rule: string;
  /** Message ids of the rule. */
  readonly diagnoses: readonly string[];
  /** The timer context, where the bug concerns only that one. */
  readonly timer?: 'vtimer' | 'ptimer';
}

/** A defect that this code has had: an entry of specification §5, or a weak point of the RFC (§2b). */
export interface KnownBug {
  /** `bug-01` to `bug-29` as numbered in §5, `W1` to `W15` as in §2b. */
  readonly id: string;
  /** Subject of the commit that fixed it, or the defect in a few words where no commit did. */
  readonly title: string;
  /** The commit that fixed it first, then others that belong to it; none is known where it is empty. */
  readonly commits: readonly string[];
  /** Kernels in which it can be observed. */
  readonly kernels: string;
  /**
   * First and last of them, `major * 1000 + minor`. A trace that names its kernel shows the bug only inside; one that
   * does not, only where a kernel of its model is inside. The RFC has no release of its own.
   */
  readonly span?: readonly [number, number];
  /** Only release candidates had it: a trace that names a released kernel does not show it. */
  readonly candidatesOnly?: true;
  /** What went wrong. */
  readonly wrong: string;
  /** Models of the kernels that had it, or the nearest one where those are older than every model. */
  readonly models: readonly ModelId[];
  /** None where no trace can show it. */
  readonly signs: readonly Sign[];
  /** Why no trace can show it. */
  readonly invisible?: string;
}

/** The RFC's weak points concern the one model. */
export type WeakPoint = Omit<KnownBug, 'kernels' | 'models' | 'commits'> & { readonly commits?: readonly string[] };

/** Name of the files in `traces/bugs` that show a bug and its legal twin, without extension. */
export function traceName({ id, commits }: KnownBug): string {
  const [commit] = id.startsWith('bug-') ? commits : [];
  return commit === undefined ? id.toLowerCase() : `${id}-${commit}`;
}

/** A bug as lists and findings name it: commit, subject, kernels. */
export function bugWords({ id, commits, title, kernels }: Pick<KnownBug, 'id' | 'commits' | 'title' | 'kernels'>) {
  const [commit] = id.startsWith('bug-') ? commits : [];
  return `${id}: ${commit === undefined ? '' : `${commit}, `}${title} (${kernels})`;
}
