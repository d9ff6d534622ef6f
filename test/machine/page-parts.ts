/**
 * Parts of pages that are made from tables of the code.
 */

/** What stands in a page between `<!-- NAME -->` and `<!-- end -->`, without the empty lines around it. */
export function markedPart(page: string, name: string): string | undefined {
  const [, after] = page.split(`<!-- ${name} -->\n\n`);
  return after?.split('\n\n<!-- end -->')[0];
}

/** A table in Markdown, its columns aligned; the first row is its head. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  // A formatter gives the line under the heads three dashes at least.
  const widths = cells[0]!.map((_, column) => Math.max(3, ...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const [head, ...body] = cells.map(line);
  return [head, line(widths.map((width) => '-'.repeat(width))), ...body].join('\n');
}
