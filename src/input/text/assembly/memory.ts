/**
 * Where things are in the memory that the module shares with the readers, and how many; `scanner.ts` in the folder above
 * learns it from the exports.
 */

/** Text lies in [0, window). Wide loads may reach beyond it. */
export const window: i32 = 0x140000;

/** Bytes of the longest text that is compared: four vectors. */
export const longestText: i32 = 64;
/** As many bytes of ones, and as many of zeros: from `longestText - n` on they choose n bytes of a text. */
export const masks: i32 = window + 0x100;

/** Texts that were seen before: pairs of places, each a key of at most `longestText` bytes, its tag and its value. */
export const places: i32 = 2048;
export const keys: i32 = masks + 2 * longestText;
/** By place: a part of the text's hash, its owner and its length, in 16, 9 and 7 bits; 0 where there is none. */
export const tags: i32 = keys + places * longestText;
/** By place: what the text means, a number of the caller's. */
export const values: i32 = tags + places * 4;

// Whose a text is: the same bytes mean one thing in the columns and another in a field. Symbols have the numbers behind.
export const columnsOwner: i32 = 1;
export const namesOwner: i32 = 2;
export const mostOwners: i32 = 512;

/** Plans: at most `mostSteps` steps each, of a fixed text and of how the value behind it is read. */
export const mostPlans: i32 = 128;
export const mostSteps: i32 = 8;
export const plans: i32 = values + places * 4;

// Parts of a step.
export const literalPart: i32 = 0;
export const lengthPart: i32 = longestText;
export const placementPart: i32 = lengthPart + 4;
export const kindPart: i32 = lengthPart + 8;
export const fieldPart: i32 = lengthPart + 12;
export const ownerPart: i32 = lengthPart + 16;
export const endsPart: i32 = lengthPart + 20;
export const blanksPart: i32 = lengthPart + 24;
export const stepSize: i32 = lengthPart + 28;

/** By plan: 0 while it reads nothing, then what may follow its last value, a member of `Ending` in `scanner.ts` there. */
export const endings: i32 = plans + mostPlans * mostSteps * stepSize;

/** Records that `next` has read, at most, and the values of each by field: halves of 64 bits. `plan` alone uses the first. */
export const mostRecords: i32 = 64;
export const mostFields: i32 = 16;
export const high: i32 = endings + mostPlans * 4;
export const low: i32 = high + mostRecords * mostFields * 4;

/** By byte: see `ByteClass` in `bytes.ts` there. */
export const classes: i32 = low + mostRecords * mostFields * 4;

/** By place of columns: the whole seconds of the time in them. Their value is the CPU. */
export const seconds: i32 = classes + 256;

/** By the value of a name: what is done with its lines, see `Treatment` in `scanner.ts` there; others go to JavaScript. */
export const mostNames: i32 = 1024;
export const treatments: i32 = seconds + places * 8;
/** By the value of a name: lines passed over. */
export const passed: i32 = treatments + mostNames * 4;

/** The clock: the time that counts as 0, its parts apart, what is added, the latest time so far; see `Clock` there. */
export const clock: i32 = passed + mostNames * 8;

/** By CPU: time of the last record, and number of records; see `CpuTimes` there. */
export const mostCpus: i32 = 65536;
export const lastTimes: i32 = clock + 32;
export const counts: i32 = lastTimes + mostCpus * 8;

/** What the functions find beside what they return: the members of `Result` there. */
export const results: i32 = counts + mostCpus * 8;
export const argsResult: i32 = results;
export const startResult: i32 = results + 4;
export const linesResult: i32 = results + 8;

/** By record: the members of `Head` there. */
export const heads: i32 = results + 16;
export const columnsHead: i32 = 0;
export const nameHead: i32 = 4;
export const startHead: i32 = 8;
export const lineHead: i32 = 12;
export const headSize: i32 = 16;
/** By record. */
export const times: i32 = heads + mostRecords * headSize;
