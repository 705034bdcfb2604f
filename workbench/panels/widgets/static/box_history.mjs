/**
 * Undo and redo without limit over immutable states.
 *
 * @template S
 * @typedef {{what: string, state: S}} Entry  `what` says in a word what led to the state
 * @template S
 * @typedef {{past: Entry<S>[], present: Entry<S>, future: Entry<S>[]}} History
 */

/** @template S @param {S} state @returns {History<S>} */
export function createHistory(state) {
  return { past: [], present: { what: "opened", state }, future: [] };
}

/** @template S @param {History<S>} history @param {string} what @param {S} state @returns {History<S>} */
export function commit(history, what, state) {
  return { past: [...history.past, history.present], present: { what, state }, future: [] };
}

/** Replace the present state without a new step. @template S @param {History<S>} history @param {S} state @returns {History<S>} */
export function amend(history, state) {
  return { past: history.past, present: { ...history.present, state }, future: [] };
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
