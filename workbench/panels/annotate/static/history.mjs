/** Undo and redo without limit over immutable states. */

/**
 * @template S
 * @typedef {{what: string, state: S, labelled: boolean}} Entry
 *   `what` says in a word what led to the state, `labelled` whether there is a label file
 */

/**
 * @template S
 * @typedef {{past: Entry<S>[], present: Entry<S>, future: Entry<S>[]}} History
 */

/** @template S @param {S} state @param {boolean} labelled @returns {History<S>} */
export function createHistory(state, labelled) {
  return { past: [], present: { what: "opened", state, labelled }, future: [] };
}

/** @template S @param {History<S>} history @param {string} what @param {S} state @param {boolean} labelled @returns {History<S>} */
export function commit(history, what, state, labelled) {
  return {
    past: [...history.past, history.present],
    present: { what, state, labelled },
    future: [],
  };
}

/** Replace the present state without a new step. @template S @param {History<S>} history @param {S} state @param {boolean} labelled @returns {History<S>} */
export function amend(history, state, labelled) {
  return { past: history.past, present: { ...history.present, state, labelled }, future: [] };
}

/**
 * The same steps with other states, for what is no edit.
 * @template S @param {History<S>} history
 * @param {(state: S, isPresent: boolean) => S} change @returns {History<S>}
 */
export function mapStates({ past, present, future }, change) {
  /** @param {Entry<S>} entry @param {boolean} isPresent */
  const changed = (entry, isPresent) => ({ ...entry, state: change(entry.state, isPresent) });
  return {
    past: past.map((entry) => changed(entry, false)),
    present: changed(present, true),
    future: future.map((entry) => changed(entry, false)),
  };
}

/** Whether nothing was done here yet. @template S @param {History<S>} history */
export function isFresh({ past, future }) {
  return past.length === 0 && future.length === 0;
}

/**
 * Put the steps of earlier sessions before those of this one, and, if nothing was done
 * here yet, what they had undone after it.
 * @template S @param {History<S>} history @param {Entry<S>[]} past @param {Entry<S>[]} future @returns {History<S>}
 */
export function extend(history, past, future) {
  return {
    ...history,
    past: [...past, ...history.past],
    future: isFresh(history) ? future : history.future,
  };
}

/** @template S @param {History<S>} history @returns {History<S>} the same object if there is nothing to undo */
export function undo(history) {
  if (history.past.length === 0) return history;
  return {
    past: history.past.slice(0, -1),
    present: history.past[history.past.length - 1],
    future: [history.present, ...history.future],
  };
}

/** @template S @param {History<S>} history @returns {History<S>} the same object if there is nothing to redo */
export function redo(history) {
  if (history.future.length === 0) return history;
  return {
    past: [...history.past, history.present],
    present: history.future[0],
    future: history.future.slice(1),
  };
}
