/** Names of the report formats. */
export const reportFormats = ['text', 'json', 'ktap'] as const;

export type ReportFormat = (typeof reportFormats)[number];

/** Forms of the native notation. */
export const nativeForms = ['csv', 'jsonl'] as const;

export type NativeForm = (typeof nativeForms)[number];

/** What a model can be printed as; the graphs show its lifecycle. */
export const designFormats = ['text', 'json', 'dot', 'mermaid', 'rv'] as const;
