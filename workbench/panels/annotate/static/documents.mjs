/**
 * The boxes of every image that a page has shown, each with its history, kept in line with
 * what the kernel says is in the label files.
 */
import { fromRows, sameRows, toProposalRows, toRows } from "./document.mjs";
import { commit, createHistory, isFresh } from "./history.mjs";

/** Whether there is a label file. @param {{revision: string}} file */
export const isLabelled = ({ revision }) => revision !== "";

/** Whether a history's present state is what the kernel has: in the file, and to review. */
function holds({ present }, { boxes, proposals, revision }) {
  const isSame = present.labelled === isLabelled({ revision }) && sameRows(toRows(present.state), boxes);
  return isSame && sameRows(toProposalRows(present.state), proposals);
}

function recovered(history, { boxes, proposals, labelled = true }) {
  return commit(history, "recovered", fromRows(boxes, proposals ?? []), labelled);
}

function changedElsewhere(history, { boxes, proposals, revision }) {
  return commit(history, "changed elsewhere", fromRows(boxes, proposals), isLabelled({ revision }));
}

/** @param {(key: string) => object|null|undefined} unsaved an image's edit that is not on disk yet */
export function createDocuments(unsaved) {
  const histories = new Map();

  return {
    get: (key) => histories.get(key) ?? null,
    has: (key) => histories.has(key),
    set: (key, history) => histories.set(key, history),

    /** Bring an image's boxes in line with what the kernel says is in the file. */
    reconcile(frame) {
      const history = histories.get(frame.key);
      const edit = unsaved(frame.key);
      if (!history) {
        const start = createHistory(fromRows(frame.boxes, frame.proposals), isLabelled(frame));
        histories.set(frame.key, edit ? recovered(start, edit) : start);
      } else if (!edit && !holds(history, frame)) {
        // Predictions for an image on which nobody has worked are no step of anybody's work.
        const isBeginning = isFresh(history) && sameRows(toRows(history.present.state), frame.boxes);
        histories.set(frame.key, isBeginning
          ? createHistory(fromRows(frame.boxes, frame.proposals), isLabelled(frame))
          : changedElsewhere(history, frame));
      }
    },

    /** Take up an edit that an earlier page could not deliver; it can be undone. */
    recover(key) {
      const history = histories.get(key);
      const edit = unsaved(key);
      if (history && edit) histories.set(key, recovered(history, edit));
    },

    /** Other boxes for an image, as a step that can be undone; without `proposals` these stay. */
    replace({ key, boxes, proposals, revision }) {
      const history = histories.get(key);
      if (!history) return;
      const content = { boxes, revision, proposals: proposals ?? toProposalRows(history.present.state) };
      if (!holds(history, content)) histories.set(key, changedElsewhere(history, content));
    },
  };
}
