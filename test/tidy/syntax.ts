/**
 * Rules that need no types: forbidden globals, sizes, top-level await, head comments, doors. Each answers complaints.
 */
import ts from 'typescript';
import { nodesOf, parse, type Source } from './sources.js';

const BELOW_MACHINE = /^(src\/(base|uapi|hw|coproc|kernel)|drivers)\//;
const FORBIDDEN = [
  'Date.now',
  'new Date',
  'Math.random',
  'performance.now',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'process.env',
  'console',
];
export const LINES_PER_FILE = 400;
export const LINES_PER_FUNCTION = 70;
export const LINES_PER_ENTRY = 60;
/** Time, chance, environment and console, as code; comments and strings may speak of them. */
export function forbiddenGlobals(all: readonly Source[]): string[] {
  return all
    .filter(({ path }) => BELOW_MACHINE.test(path))
    .flatMap((source) => {
      const used = [...nodesOf(parse(source))].flatMap(globalName).filter((name) => FORBIDDEN.includes(name));
      return used.map((name) => `${source.path} uses ${name}`);
    });
}

function globalName(node: ts.Node): string[] {
  if (ts.isNewExpression(node)) return [`new ${node.expression.getText()}`];
  if (ts.isPropertyAccessExpression(node)) {
    const owner = node.expression.getText().replace(/^globalThis\./, '');
    return [`${owner}.${node.name.text}`, ...(owner === 'globalThis' ? [node.name.text] : [])];
  }
  const isMember =
    node.parent !== undefined && ts.isPropertyAccessExpression(node.parent) && node.parent.name === node;
  return ts.isIdentifier(node) && !isMember ? [node.text] : [];
}

const linesOf = (text: string): number => text.trimEnd().split('\n').length;

export function tooLong(all: readonly Source[]): string[] {
  return all.flatMap((source) => {
    const complaints: string[] = [];
    const lines = linesOf(source.text);
    if (lines > LINES_PER_FILE) complaints.push(`${source.path} has ${lines} lines`);
    if (source.path.startsWith('src/entry/') && lines > LINES_PER_ENTRY) {
      complaints.push(`${source.path} has ${lines} lines, and no logic belongs there`);
    }
    for (const node of nodesOf(parse(source))) {
      const length = ts.isFunctionLike(node) ? linesOf(node.getText()) : 0;
      if (length > LINES_PER_FUNCTION) complaints.push(`${source.path} has a function of ${length} lines`);
    }
    return complaints;
  });
}

export function topLevelAwaits(all: readonly Source[]): string[] {
  const waits = (node: ts.Node): boolean => {
    if (ts.isFunctionLike(node)) return false;
    if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier !== undefined))
      return true;
    return ts.forEachChild(node, waits) ?? false;
  };
  return all
    .filter((source) => source.path.startsWith('src/entry/') && waits(parse(source)))
    .map(({ path }) => `${path} waits at its top level`);
}

/** The first thing in a file, after a `#!` line, is a comment. */
export function headless(all: readonly Source[]): string[] {
  return all
    .filter(({ text }) => !/^(#!.*\n)?\/\*\*?\s/.test(text))
    .map(({ path }) => `${path} does not say what it owns`);
}

export function doorsWithCode(all: readonly Source[]): string[] {
  return all
    .filter(({ path }) => path.endsWith('/driver-api.ts'))
    .filter((source) => parse(source).statements.some((statement) => !isReexport(statement)))
    .map(({ path }) => `${path} is a door, and has more than re-exports`);
}

const isReexport = (node: ts.Statement): boolean =>
  ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined;
