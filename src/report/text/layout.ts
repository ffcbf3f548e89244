/**
 * Breaks a text at blanks into lines of at most `width` characters, `firstWidth` for the first one; a longer word
 * keeps a line of its own.
 */
export function wrap(text: string, width: number, firstWidth = width): string[] {
  const lines: string[] = [];
  let line: string | undefined;
  for (const word of text.split(' ')) {
    const room = lines.length === 0 ? firstWidth : width;
    if (line !== undefined && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else {
      line = line === undefined ? word : `${line} ${word}`;
    }
  }
  return [...lines, line ?? ''];
}

/** Wrapped text of which every line is indented, the first one by `first` instead. */
export function paragraph(text: string, width: number, indent: string, first = indent): string[] {
  const lines = wrap(text, width - indent.length, width - first.length);
  return lines.map((line, index) => `${index === 0 ? first : indent}${line}`);
}

/** A label and its text beside it: the text hangs behind a label column. */
export function labelled(label: string, text: string, width: number, column = 11): string[] {
  const indent = ' '.repeat(2 + column);
  return paragraph(text, width, indent, `  ${label.padEnd(column)}`);
}

/**
 * Pads the cells of a table so that columns align. Numbers are aligned to the right, everything else to the left;
 * the last column is not padded.
 */
export function align(rows: readonly (readonly (string | number)[])[]): string[][] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, String(cell).length);
    });
  }
  return rows.map((row) =>
    row.map((cell, index) => {
      if (typeof cell === 'number') return String(cell).padStart(widths[index]!);
      return index === row.length - 1 ? cell : cell.padEnd(widths[index]!);
    }),
  );
}
