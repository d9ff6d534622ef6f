/**
 * Changes that take turns: each may have to wait for others, and none begins before the one before it has answered. What
 * a change finds when it begins is therefore still so while it lasts.
 */

/** Does something, and calls `answer` once when it is over. */
export type Change<Answer> = (answer: (value: Answer) => void) => void;

export class Turns {
  readonly #waiting: (() => void)[] = [];
  #isTaken = false;

  /** Changes that have not answered yet. */
  get length(): number {
    return this.#waiting.length + (this.#isTaken ? 1 : 0);
  }

  /** Lets `change` begin, at once or in its turn; `done` gets its answer before the next one begins. */
  take<Answer>(done: (value: Answer) => void, change: Change<Answer>): void {
    this.#waiting.push(() => {
      change((value) => {
        this.#isTaken = false;
        done(value);
        this.#next();
      });
    });
    this.#next();
  }

  #next(): void {
    if (this.#isTaken) return;
    const begin = this.#waiting.shift();
    if (begin === undefined) return;
    this.#isTaken = true;
    begin();
  }
}
