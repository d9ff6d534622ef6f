/**
 * The part of docs/calls.md that is made from the table of the calls, with the answers that a machine gave.
 */
import { expectationOf, memberPlace, type ObjectShape, type Shape } from '../../src/base/plain-shape.js';
import { answerShapes, callResults } from '../../src/coproc/call-results.js';
import { type CallName, type CallSpec, calls } from '../../src/coproc/calls.js';
import { table } from './page-parts.js';

/** Characters of a line of JSON. */
const LINE_LENGTH = 110;

/** Every call: what it takes, answers, and how it fails; `answers` are those to the examples. */
export function callsPart(answers: ReadonlyMap<CallName, unknown>): string {
  return (Object.keys(calls) as CallName[])
    .map((name) => sectionOf(name, calls[name], answers.get(name)))
    .join('\n\n');
}

/** What answers consist of. */
export function answersPart(): string {
  return Object.entries(answerShapes)
    .map(
      ([name, shape]) =>
        `### ${capitalised(name)}\n\n${table([['field', 'value', 'meaning'], ...rowsOf(shape, '')])}`,
    )
    .join('\n\n');
}

function sectionOf(
  name: CallName,
  { doc, arguments: fields, failures, example }: CallSpec,
  answer: unknown,
): string {
  const taken = Object.entries(fields).map(([key, { shape, doc: meaning, absent = 'required' }]) => [
    `\`${key}\``,
    expectationOf(shape),
    absent,
    meaning,
  ]);
  const failed = failures.map(({ code, when, example: request }) => [
    `\`${code}\``,
    when,
    `\`${flatly(request)}\``,
  ]);
  return [
    `### ${name}`,
    doc,
    taken.length === 0 ? 'Takes nothing.' : table([['argument', 'value', 'if absent', 'meaning'], ...taken]),
    `Answers ${answerOf(callResults[name])}.`,
    ...(failed.length === 0 ? [] : [table([['fails with', 'when', 'for example'], ...failed])]),
    json(example),
    json(answer),
  ].join('\n\n');
}

function answerOf(shape: Shape | null): string {
  if (shape === null) return 'null';
  if (shape.kind === 'list') return `an array: for each, ${answerOf(shape.of)}`;
  const [name] = Object.entries(answerShapes).find(([, each]) => each === shape)!;
  return `the [${name}](#${name.replaceAll(' ', '-')})`;
}

function rowsOf({ fields }: ObjectShape, place: string): string[][] {
  return Object.entries(fields).flatMap(([key, { shape, doc }]) => {
    const here = memberPlace(place, key);
    const of = shape.kind === 'list' ? shape.of : shape;
    const isNamed = Object.values(answerShapes).some((each) => each === of);
    const row = [`\`${here}\``, isNamed ? `an array: for each, ${answerOf(of)}` : expectationOf(shape), doc];
    return of.kind === 'object' && !isNamed ? [row, ...rowsOf(of, here)] : [row];
  });
}

const capitalised = (text: string): string => text[0]!.toUpperCase() + text.slice(1);

/** Data as a block of JSON: what fits a line stands on one, as the formatter has it. */
function json(data: unknown): string {
  return `\`\`\`json\n${print(data, '', 0)}\n\`\`\``;
}

/** `taken` characters stand on its first line already, or will. */
function print(data: unknown, indent: string, taken: number): string {
  const flat = flatly(data);
  if (typeof data !== 'object' || data === null || taken + flat.length <= LINE_LENGTH) return flat;
  const inner = `${indent}  `;
  if (!Array.isArray(data)) {
    const members = Object.entries(data).map(([key, member]) => {
      const before = `${inner}${JSON.stringify(key)}: `;
      return before + print(member, inner, before.length + 1);
    });
    return `{\n${members.join(',\n')}\n${indent}}`;
  }
  const elements = data.every((element) => typeof element === 'number')
    ? filled(data, inner)
    : data.map((element) => inner + print(element, inner, inner.length + 1)).join(',\n');
  return `[\n${elements}\n${indent}]`;
}

/** As many numbers on each line as fit. */
function filled(numbers: readonly number[], indent: string): string {
  const lines = [indent];
  for (const [index, number] of numbers.entries()) {
    const text = `${number}${index < numbers.length - 1 ? ',' : ''}`;
    const line = lines.at(-1)!;
    if (line === indent) lines[lines.length - 1] = line + text;
    else if (line.length + 1 + text.length <= LINE_LENGTH) lines[lines.length - 1] = `${line} ${text}`;
    else lines.push(indent + text);
  }
  return lines.join('\n');
}

/** On one line, with spaces. */
function flatly(data: unknown): string {
  if (typeof data !== 'object' || data === null) return JSON.stringify(data);
  if (Array.isArray(data)) return `[${data.map(flatly).join(', ')}]`;
  const members = Object.entries(data).map(([key, member]) => `${JSON.stringify(key)}: ${flatly(member)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}
