/**
 * Rules that need the compiler's types: undocumented exports of the public entry points, ignored Results.
 */
import { join, relative } from 'node:path';
import ts from 'typescript';
import { nodesOf, root, type Source } from './sources.js';

const options: ts.CompilerOptions = {
  ...ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config.compilerOptions,
  ...{
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts'],
    rootDir: root,
    noEmit: true,
    incremental: false,
  },
  ...{ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
};
delete options.tsBuildInfoFile;

/** The project as the compiler sees it, with `sample` as one more file when given. */
export function programOf(roots: readonly string[], sample?: Source): ts.Program {
  const host = ts.createCompilerHost(options, true);
  const samplePath = sample === undefined ? '' : join(root, sample.path);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === samplePath || fileExists(name);
  host.getSourceFile = (name, version, ...rest) =>
    name === samplePath
      ? ts.createSourceFile(name, sample!.text, version, true)
      : getSourceFile.call(host, name, version, ...rest);
  return ts.createProgram(
    [...roots, ...(sample ? [sample.path] : [])].map((path) => join(root, path)),
    options,
    host,
  );
}

/** Exports of an entry point without a doc comment, followed to where they are declared. */
export function undocumented(program: ts.Program, entry: string): string[] {
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(join(root, entry));
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(file!)!);
  return exported
    .filter((symbol) => !isDocumented(checker, symbol))
    .map((symbol) => `${entry} exports ${symbol.name} without a doc comment`);
}

/** The declaration's own comment, or one at a re-export on the way to it. */
function isDocumented(checker: ts.TypeChecker, symbol: ts.Symbol): boolean {
  const target = (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(symbol) : symbol;
  // What a package of somebody else's exports is documented there.
  const foreign = target.declarations?.every((at) => at.getSourceFile().fileName.includes('/node_modules/'));
  return (
    foreign === true || [symbol, target].some((each) => each.getDocumentationComment(checker).length > 0)
  );
}

/** A statement that computes a Result and looks at it no more. */
export function ignoredResults(program: ts.Program, only: (path: string) => boolean): string[] {
  const checker = program.getTypeChecker();
  const isResult = (node: ts.Expression): boolean => {
    const type = checker.getAwaitedType(checker.getTypeAtLocation(node)) ?? checker.getTypeAtLocation(node);
    const parts = [checker.getTypeAtLocation(node), type].flatMap((each) =>
      each.isUnion() ? each.types : [each],
    );
    return parts.some((part) => ['Ok', 'Err', 'Result', 'ResultAsync'].includes(part.symbol?.name ?? ''));
  };
  const complaints: string[] = [];
  for (const file of program.getSourceFiles()) {
    const path = relative(root, file.fileName);
    if (!only(path)) continue;
    for (const node of nodesOf(file)) {
      if (!ts.isExpressionStatement(node) || ts.isBinaryExpression(node.expression)) continue;
      const value = ts.isVoidExpression(node.expression) ? node.expression.expression : node.expression;
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      if (isResult(value)) complaints.push(`${path}:${line + 1} ignores a Result`);
    }
  }
  return complaints;
}
