/** A vcpu whose level rose before the guest enabled its distributor: eight rounds, 20 ms apart. */
export const livelock = [
  'time,event,vcpu,cpu,level,timer,ctl,next,state,ec',
  '0,load,1,1',
  ',restore,1,1,,vtimer,1',
  ',entry,1,1',
  ',exit,1,1,,,,,,WFx',
  ',wfx,1,1',
  ',sched_switch,1,1,,,,0,S',
  ',put,1,1',
  ',save,1,1,,vtimer,1',
  ',bg_arm,1,1',
  ...[1, 2, 3, 4, 5, 6, 7, 8].flatMap((round) => [
    `${round / 50},bg_expire,1,1`,
    ',sched_switch,,1,,,,1001,S',
    ',load,1,1',
    ',update_irq,1,1,1,vtimer',
    ',vgic_inject,1,1,1,vtimer',
    ',restore,1,1,,vtimer,5',
    ',sched_switch,1,1,,,,0,S',
    ',put,1,1',
    ',save,1,1,,vtimer,5',
    ',bg_arm,1,1',
  ]),
].join('\n');

/** Two vcpus take turns on a CPU of a host so slow that a load takes the whole time slice, 25 times. */
export const slowLoads = [
  'time,event,vcpu,cpu,level,timer,next,state',
  '0,load,0,0',
  ',restore,0,0',
  ',entry,0,0',
  ',exit,0,0',
  ...Array.from({ length: 25 }, (_, round) => [
    ',sched_switch,0,0,,,1001,R',
    ',put,0,0',
    ',save,0,0',
    `${(10 * round + 9) / 1000},sched_switch,,0,,,1000,R`,
    ',load,0,0',
    ',update_irq,0,0,1,vtimer',
    ',vgic_inject,0,0,1,vtimer',
    `${(10 * round + 18) / 1000},restore,0,0`,
  ]).flat(),
  ',entry,0,0',
].join('\n');
