/**
 * The boxes of every image that a page has shown, each with its history, kept in line with
 * what the kernel says is in the label files.
 */
/** @import { Frame, ProposalRow, Row } from "../../types.d.ts" */
import { fromRows, sameRows, toProposalRows, toRows } from "./document.mjs";
import { commit, createHistory, isFresh } from "./history.mjs";

/**
 * @typedef {import("./document.mjs").Box} Box
 * @typedef {import("./history.mjs").History<Box[]>} BoxHistory
 * @typedef {{boxes: Row[], proposals: ProposalRow[], revision: string}} Content  of a file, and to review
 * @typedef {{boxes: Row[], proposals: ProposalRow[]|null, labelled?: boolean}} Unsaved
 */

/** Whether there is a label file. @param {{revision: string}} file */
export const isLabelled = ({ revision }) => revision !== "";

/**
 * Whether a history's present state is what the kernel has: in the file, and to review.
 * @param {BoxHistory} history @param {Content} content
 */
function holds({ present }, { boxes, proposals, revision }) {
  const isSame =
    present.labelled === isLabelled({ revision }) && sameRows(toRows(present.state), boxes);
  return isSame && sameRows(toProposalRows(present.state), proposals);
}

/** @param {BoxHistory} history @param {Unsaved} edit */
function recovered(history, { boxes, proposals, labelled = true }) {
  return commit(history, "recovered", fromRows(boxes, proposals ?? []), labelled);
}

/** @param {BoxHistory} history @param {Content} content */
function changedElsewhere(history, { boxes, proposals, revision }) {
  return commit(history, "changed elsewhere", fromRows(boxes, proposals), isLabelled({ revision }));
}

/** @param {(key: string) => Unsaved|null|undefined} unsaved an image's edit that is not on disk yet */
export function createDocuments(unsaved) {
  /** @type {Map<string, BoxHistory>} */
  const histories = new Map();

  return {
    /** @param {string} key */
    get: (key) => histories.get(key) ?? null,
    /** @param {string} key */
    has: (key) => histories.has(key),
    /** @param {string} key @param {BoxHistory} history */
    set: (key, history) => histories.set(key, history),

    /** Bring an image's boxes in line with what the kernel says is in the file. @param {Frame} frame */
    reconcile(frame) {
      const history = histories.get(frame.key);
      const edit = unsaved(frame.key);
      if (!history) {
        const start = createHistory(fromRows(frame.boxes, frame.proposals), isLabelled(frame));
        histories.set(frame.key, edit ? recovered(start, edit) : start);
      } else if (!edit && !holds(history, frame)) {
        // Where nobody has edited the image yet, new predictions are no step that can be undone.
        const isBeginning =
          isFresh(history) && sameRows(toRows(history.present.state), frame.boxes);
        histories.set(
          frame.key,
          isBeginning
            ? createHistory(fromRows(frame.boxes, frame.proposals), isLabelled(frame))
            : changedElsewhere(history, frame),
        );
      }
    },

    /** Take up an edit that an earlier page could not deliver; it can be undone. @param {string} key */
    recover(key) {
      const history = histories.get(key);
      const edit = unsaved(key);
      if (history && edit) histories.set(key, recovered(history, edit));
    },

    /**
     * Other boxes for an image, as a step that can be undone; without `proposals` these stay.
     * @param {{key: string, boxes: Row[], proposals?: ProposalRow[], revision: string}} content
     */
    replace({ key, boxes, proposals, revision }) {
      const history = histories.get(key);
      if (!history) return;
      const content = {
        boxes,
        revision,
        proposals: proposals ?? toProposalRows(history.present.state),
      };
      if (!holds(history, content)) histories.set(key, changedElsewhere(history, content));
    },
  };
}
