/** What the process answers to a shell. A check itself answers the first four, see `RunSummary.exitCode`. */
export const ExitCode = {
  clean: 0,
  violations: 1,
  /** An input could not be read. */
  unreadable: 3,
  inconclusive: 4,
  /** Wrong usage or configuration. */
  usage: 2,
  /** A bug of this tool. */
  internal: 70,
  /** SIGINT. */
  interrupted: 130,
} as const;
