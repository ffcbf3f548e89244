import affinityForwardedWhileAnyLoaded from './affinity-forwarded-while-any-loaded.js';
import assertedLevelReachesGuest from './asserted-level-reaches-guest.js';
import bgArmedOnlyWhenBlocked from './bg-armed-only-when-blocked.js';
import bgArmedWhenNeeded from './bg-armed-when-needed.js';
import bgDeadlineMatchesCval from './bg-deadline-matches-cval.js';
import bgFireWakesVcpu from './bg-fire-wakes-vcpu.js';
import bgNotArmedInGuest from './bg-not-armed-in-guest.js';
import cntvoffCorrectInGuest from './cntvoff-correct-in-guest.js';
import cntvoffUniformWhileLoaded from './cntvoff-uniform-while-loaded.js';
import cntvoffZeroForHost from './cntvoff-zero-for-host.js';
import ctlBitsValid from './ctl-bits-valid.js';
import disabledVcpuSilent from './disabled-vcpu-silent.js';
import distActiveAtLoad from './dist-active-at-load.js';
import distActiveClearedOnLower from './dist-active-cleared-on-lower.js';
import entryExitAlternate from './entry-exit-alternate.js';
import entryOnlyWhenLoaded from './entry-only-when-loaded.js';
import expiredTimerAsserted from './expired-timer-asserted.js';
import firstEntryRestoresUserState from './first-entry-restores-user-state.js';
import flushEntrySyncOrder from './flush-entry-sync-order.js';
import hostClockMonotonic from './host-clock-monotonic.js';
import irqHandlerReturns from './irq-handler-returns.js';
import irqMaskedWhileLevelHigh from './irq-masked-while-level-high.js';
import irqNotRepeatedWhileLevelHigh from './irq-not-repeated-while-level-high.js';
import irqOnlyWhenLoaded from './irq-only-when-loaded.js';
import irqRaisesLevel from './irq-raises-level.js';
import levelAlternates from './level-alternates.js';
import levelLoweredAtSync from './level-lowered-at-sync.js';
import levelTrueOnlyIfCanFire from './level-true-only-if-can-fire.js';
import levelTrueOnlyIfExpired from './level-true-only-if-expired.js';
import loadPutAlternate from './load-put-alternate.js';
import loadedOwnsCntvCtl from './loaded-owns-cntv-ctl.js';
import noPutInGuest from './no-put-in-guest.js';
import noSleepWithExpiredTimer from './no-sleep-with-expired-timer.js';
import oneCpuPerVcpu from './one-cpu-per-vcpu.js';
import oneVcpuPerCpu from './one-vcpu-per-cpu.js';
import resetClearsTimer from './reset-clears-timer.js';
import restoreEqualsLastSave from './restore-equals-last-save.js';
import type { Rule } from './rule.js';
import saveRequiresRestore from './save-requires-restore.js';
import saveWithoutEntryEqualsRestore from './save-without-entry-equals-restore.js';
import softTimerFollowsEmulatedContext from './soft-timer-follows-emulated-context.js';
import stateAccessOnLoadCpu from './state-access-on-load-cpu.js';
import timerIdentityConsistent from './timer-identity-consistent.js';
import timerNotEarly from './timer-not-early.js';
import trapsFollowWorldNvhe from './traps-follow-world-nvhe.js';
import userWriteSurvives from './user-write-survives.js';
import vgicFollowsLevel from './vgic-follows-level.js';
import vheTrapsNotToggled from './vhe-traps-not-toggled.js';

/** Every rule, in the order of the catalogue (specification §4). */
export const rules: readonly Rule[] = [
  oneVcpuPerCpu,
  oneCpuPerVcpu,
  loadPutAlternate,
  loadedOwnsCntvCtl,
  entryOnlyWhenLoaded,
  entryExitAlternate,
  noPutInGuest,
  stateAccessOnLoadCpu,
  restoreEqualsLastSave,
  saveWithoutEntryEqualsRestore,
  saveRequiresRestore,
  userWriteSurvives,
  firstEntryRestoresUserState,
  resetClearsTimer,
  ctlBitsValid,
  cntvoffCorrectInGuest,
  cntvoffZeroForHost,
  cntvoffUniformWhileLoaded,
  trapsFollowWorldNvhe,
  vheTrapsNotToggled,
  hostClockMonotonic,
  bgArmedOnlyWhenBlocked,
  bgNotArmedInGuest,
  bgFireWakesVcpu,
  softTimerFollowsEmulatedContext,
  bgArmedWhenNeeded,
  bgDeadlineMatchesCval,
  noSleepWithExpiredTimer,
  irqOnlyWhenLoaded,
  irqNotRepeatedWhileLevelHigh,
  irqRaisesLevel,
  irqHandlerReturns,
  levelTrueOnlyIfCanFire,
  levelTrueOnlyIfExpired,
  levelLoweredAtSync,
  levelAlternates,
  assertedLevelReachesGuest,
  vgicFollowsLevel,
  distActiveAtLoad,
  irqMaskedWhileLevelHigh,
  distActiveClearedOnLower,
  affinityForwardedWhileAnyLoaded,
  timerNotEarly,
  expiredTimerAsserted,
  flushEntrySyncOrder,
  disabledVcpuSilent,
  timerIdentityConsistent,
];
