import { fstatSync } from 'node:fs';
import { wantsColor } from '../../report/color.js';
import { type Output, streamOutput } from '../../report/output.js';

/** What the program lends to its commands. */
export interface CommandContext {
  readonly version: string;
  /** `undefined` until the command line has been read. */
  color: boolean | undefined;
  /** Exit code of the command. */
  exitCode: number;
  stdout(): Output;
  stderr(): Output;
  /** Whether stderr is a terminal, so that a progress line makes sense there. */
  readonly interactive: boolean;
}

const stderrDescriptor = 2;

/** The context of this process. */
export function processContext(version: string): CommandContext {
  let stdout: Output | undefined;
  let stderr: Output | undefined;
  const open = (stream: NodeJS.WriteStream) =>
    streamOutput(stream, wantsColor(context.color, process.env, stream.isTTY === true));
  const context: CommandContext = {
    version,
    color: undefined,
    exitCode: 0,
    stdout: () => (stdout ??= open(process.stdout)),
    stderr: () => (stderr ??= open(process.stderr)),
    // A terminal is a character device: for a pipe Node.js would load its sockets to open the stream.
    get interactive() {
      return fstatSync(stderrDescriptor).isCharacterDevice() && process.stderr.isTTY === true;
    },
  };
  return context;
}
