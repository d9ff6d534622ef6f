/**
 * Steps that can be undone, for whatever is built in several steps: those that were taken are undone in reverse order.
 */

/** Undoes one step; `done` when nothing of it is left. */
export type Undo = (done: () => void) => void;

/** An undo that is over at once. */
export function undoNow(act: () => void): Undo {
  return (done) => {
    act();
    done();
  };
}

/** Undoes all of `undos`, the last first, and takes them out. */
export function undoAll(undos: Undo[], done: () => void): void {
  const undo = undos.pop();
  if (undo === undefined) done();
  else undo(() => undoAll(undos, done));
}
