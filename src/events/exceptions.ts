/**
 * Why a guest exit happened, as `kvm_exit` prints it: the exit code of the world switch and the exception
 * class of ESR_ELx (specification §3.1; kvm_arm_exception_type and kvm_arm_exception_class in the kernel).
 */

/** Exit codes by number (ARM_EXCEPTION_*). */
export const exitCodeNames = ['IRQ', 'SERROR', 'TRAP', 'IL'] as const;

/** Exception classes by the name that `kvm_exit` prints (ESR_ELx_EC_*). */
export const exceptionClasses: Readonly<Record<string, number>> = {
  UNKNOWN: 0x00,
  WFx: 0x01,
  CP15_32: 0x03,
  CP15_64: 0x04,
  CP14_MR: 0x05,
  CP14_LS: 0x06,
  FP_ASIMD: 0x07,
  CP10_ID: 0x08,
  PAC: 0x09,
  CP14_64: 0x0c,
  SVC32: 0x11,
  HVC32: 0x12,
  SMC32: 0x13,
  SVC64: 0x15,
  HVC64: 0x16,
  SMC64: 0x17,
  SYS64: 0x18,
  SVE: 0x19,
  ERET: 0x1a,
  IMP_DEF: 0x1f,
  IABT_LOW: 0x20,
  IABT_CUR: 0x21,
  PC_ALIGN: 0x22,
  DABT_LOW: 0x24,
  DABT_CUR: 0x25,
  SP_ALIGN: 0x26,
  FP_EXC32: 0x28,
  FP_EXC64: 0x2c,
  SERROR: 0x2f,
  BREAKPT_LOW: 0x30,
  BREAKPT_CUR: 0x31,
  SOFTSTP_LOW: 0x32,
  SOFTSTP_CUR: 0x33,
  WATCHPT_LOW: 0x34,
  WATCHPT_CUR: 0x35,
  BKPT32: 0x38,
  VECTOR32: 0x3a,
  BRK64: 0x3c,
};

/** Names of the exception classes by number. */
export const exceptionClassNames: ReadonlyMap<number, string> = new Map(
  Object.entries(exceptionClasses).map(([name, number]) => [number, name]),
);
