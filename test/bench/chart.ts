/** Bars as an SVG image, drawn by hand: groups of bars below each other, all on one scale that begins at zero. */

/** One bar. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Printed at its end. */
  readonly text: string;
  readonly colour: string;
}

/** Bars that belong together. */
export interface BarGroup {
  readonly label: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 720;
const MARGIN = 16;
/** Where bars begin, and how long one of `most` is: room is left for its text. */
const BAR_LEFT = 220;
const BAR_LENGTH = 400;
const BAR_HEIGHT = 16;
const ROW_HEIGHT = 20;
const HEAD_HEIGHT = 24;
const GROUP_GAP = 12;
const TITLE_HEIGHT = 40;

/** A chart whose full length is `most`; a line stands there, with what it means. */
export function barChart(options: {
  readonly title: string;
  readonly groups: readonly BarGroup[];
  readonly most: number;
  readonly mostLabel: string;
}): string {
  const { title, groups, most, mostLabel } = options;
  const parts: string[] = [];
  let top = TITLE_HEIGHT;
  for (const group of groups) {
    parts.push(groupOf(group, { top, most }));
    top += HEAD_HEIGHT + group.bars.length * ROW_HEIGHT + GROUP_GAP;
  }
  const right = BAR_LEFT + BAR_LENGTH;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${top}" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="13">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${top}" fill="#ffffff"/>`,
    text({ x: MARGIN, y: 24, words: title, weight: 'bold' }),
    `<line x1="${right}" y1="${TITLE_HEIGHT}" x2="${right}" y2="${top - GROUP_GAP}" stroke="#57606a" stroke-dasharray="4 3"/>`,
    text({ x: right, y: 24, words: mostLabel, anchor: 'middle' }),
    ...parts,
    '</svg>',
  ].join('\n')}\n`;
}

function groupOf(group: BarGroup, at: { readonly top: number; readonly most: number }): string {
  const lines = [text({ x: MARGIN, y: at.top + 16, words: group.label, weight: 'bold' })];
  for (const [index, bar] of group.bars.entries()) {
    const top = at.top + HEAD_HEIGHT + index * ROW_HEIGHT;
    const length = Math.round((bar.value / at.most) * BAR_LENGTH);
    const baseline = top + BAR_HEIGHT - 3;
    lines.push(
      text({ x: BAR_LEFT - 8, y: baseline, words: bar.label, anchor: 'end' }),
      `<rect x="${BAR_LEFT}" y="${top}" width="${length}" height="${BAR_HEIGHT}" fill="${bar.colour}"/>`,
      text({ x: BAR_LEFT + length + 6, y: baseline, words: bar.text }),
    );
  }
  return lines.join('\n');
}

function text(options: {
  readonly x: number;
  readonly y: number;
  readonly words: string;
  readonly anchor?: 'middle' | 'end';
  readonly weight?: 'bold';
}): string {
  const { x, y, words, anchor, weight } = options;
  const style = `${anchor ? ` text-anchor="${anchor}"` : ''}${weight ? ` font-weight="${weight}"` : ''}`;
  return `<text x="${x}" y="${y}" fill="#1f2328"${style}>${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
