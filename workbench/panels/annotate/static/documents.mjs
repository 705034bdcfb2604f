/**
 * The boxes of every image that a page has shown, each with its history, kept in line with
 * what the kernel says is in the label files.
 */
/** @import { Frame, ProposalRow, Row } from "../../types.d.ts" */
import { among, fromRows, sameRows, toProposalRows, toRows, withoutCovered } from "./document.mjs";
import { commit, createHistory, isFresh, mapStates } from "./history.mjs";

/**
 * @typedef {import("./document.mjs").Box} Box
 * @typedef {import("./history.mjs").History<Box[]>} BoxHistory
 * @typedef {{boxes: Row[], proposals: ProposalRow[], revision: string}} Content  of a file, and to review
 * @typedef {{boxes: Row[], proposals: ProposalRow[]|null, labelled?: boolean}} Unsaved
 * @typedef {{proposals: ProposalRow[], rejected: ProposalRow[]}} Offered  by others, covered by labels or not
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

/**
 * Take over what others suggest by now, also in the states that undo and redo lead to: drawn
 * boxes, and the boxes' ids, stay. What an edit has decided that the kernel does not know of yet
 * stays decided.
 * @param {BoxHistory} history
 * @param {Offered} offered
 * @param {ProposalRow[]} known what the page was sent before
 * @param {boolean} isSettled whether the kernel has all edits
 */
function withOffered(history, { proposals, rejected }, known, isSettled) {
  const [waits, isRejected, isKnown] = [proposals, rejected, known].map(among);
  const fresh = proposals.filter((row) => !isKnown(row));
  /** @param {Box[]} state @param {boolean} isPresent */
  const next = (state, isPresent) => {
    const kept = state.filter((box) => {
      const [row] = box.proposal?.source_id ? toProposalRows([box]) : [];
      return !row || waits(row) || (isRejected(row) && !(isPresent && isSettled));
    });
    const has = among(toProposalRows(kept));
    const added = fromRows(
      [],
      fresh.filter((row) => !has(row)),
    );
    if (kept.length === state.length && !added.length) return state;
    const after = withoutCovered([...kept, ...added]);
    const isSame = after.length === state.length && after.every((box, i) => box === state[i]);
    return isSame ? state : after;
  };
  return mapStates(history, next);
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

    /**
     * Other class ids, in all states of what is not saved yet; the rest is read from the files
     * again, where nobody knows which of them are old.
     * @param {(id: number) => number} idOf
     */
    renumber(idOf) {
      for (const [key, history] of histories) {
        if (!unsaved(key)) histories.delete(key);
        else
          histories.set(
            key,
            mapStates(history, (state) => state.map((box) => ({ ...box, cls: idOf(box.cls) }))),
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
     * Other suggestions for an image; no step, and no drawn box is touched.
     * @param {Frame} frame as the page was sent it; its proposals become what the page knows now
     * @param {Offered} offered @returns {boolean} whether the page shows other boxes now
     */
    offer(frame, offered) {
      const { key, proposals: known } = frame;
      const history = histories.get(key);
      if (!history) return false;
      const isSettled = !unsaved(key);
      const after = withOffered(history, offered, known, isSettled);
      const shown = toProposalRows(after.present.state);
      const isShown = among(shown);
      const stays = among([...offered.proposals, ...(isSettled ? [] : offered.rejected)]);
      frame.proposals = [
        ...known.filter((row) => !isShown(row) && (!row.source_id || stays(row))),
        ...shown,
      ];
      histories.set(key, after);
      return after.present.state !== history.present.state;
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
