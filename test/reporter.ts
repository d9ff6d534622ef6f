// Closes every run with the plain line "N passed, N failed[, N skipped]", and names what was skipped, so that a
// skipped part is never mistaken for a passed one.
import type { Reporter, TestModule } from 'vitest/node';

export default class ClosingLine implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 };
    for (const testModule of testModules) {
      if (testModule.errors().length > 0) count.failed += 1;
      for (const testCase of testModule.children.allTests()) {
        const { state } = testCase.result();
        count[state] += 1;
        if (state === 'skipped') process.stdout.write(`skipped: ${testCase.fullName}\n`);
      }
    }
    const failed = count.failed + count.pending;
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    process.stdout.write(`${count.passed} passed, ${failed} failed${skipped}\n`);
  }
}
