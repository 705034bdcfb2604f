/**
 * Undo beyond this page: when its own steps of an image are used up, the kernel is asked
 * for those of earlier sessions, which it reads from the history on disk.
 *
 * @typedef {import("./documents.mjs").BoxHistory} BoxHistory
 */
/** @import { ProposalRow, RowState, TrailMessage } from "../../types.d.ts" */
import { fromRows, sameRows, toProposalRows, toRows } from "./document.mjs";
import { extend } from "./history.mjs";

/** Milliseconds after which a request for undo is dropped: a late undo would surprise the user. */
const WISH_LIFE = 5000;

/**
 * @param {object} options
 * @param {(key: string) => void} options.ask the kernel for the trail of an image
 * @param {(key: string) => boolean} options.isSettled whether the file holds what the page shows
 * @param {() => number} options.now milliseconds
 */
export function createTrails({ ask, isSettled, now }) {
  /** Images of which all earlier steps are here. @type {Set<string>} */
  const complete = new Set();
  /** @type {Map<string, {steps: number, since: number}>} */
  const wishes = new Map();

  return {
    /** Whether there may be steps that this page does not have. @param {string} key */
    isOpen: (key) => !complete.has(key),

    /** Note a wish for one more step back. @param {string} key */
    wish(key) {
      if (complete.has(key)) return;
      const before = wishes.get(key);
      const isLive = before && now() - before.since < WISH_LIFE;
      wishes.set(key, isLive ? { ...before, steps: before.steps + 1 } : { steps: 1, since: now() });
      if (!isLive && isSettled(key)) ask(key);
    },

    /** The user did something else. @param {string} key */
    forget: (key) => wishes.delete(key),

    /** An edit of the image is in the file: what had to wait for that can be asked now. @param {string} key */
    settled(key) {
      if (wishes.has(key) && isSettled(key)) ask(key);
    },

    /**
     * Take an answer of the kernel.
     * @param {Omit<TrailMessage, "kind">} message
     * @param {BoxHistory|null|undefined} history of that image
     * @returns {{history: BoxHistory, steps: number}|"stale"|null} the longer history and how many
     *   steps back were wished for; "stale": the file is not what the page shows; null: forget it
     */
    answered(message, history) {
      const { key, boxes, past, future, more } = message;
      const wish = wishes.get(key);
      if (!wish || !history || history.past.length || !isSettled(key)) return null;
      wishes.delete(key);
      const { state, labelled } = history.present;
      if (labelled !== (boxes !== null) || !sameRows(toRows(state), boxes ?? [])) return "stale";
      if (!more) complete.add(key);
      // Where a label goes, the prediction that it was comes back.
      const waiting = toProposalRows(state);
      /** @param {ProposalRow[][]|undefined} proposals @returns {(rows: RowState, at: number) => import("./history.mjs").Entry<import("./document.mjs").Box[]>} */
      const entry = (proposals) => (rows, at) => ({
        what: "earlier",
        state: fromRows(rows ?? [], proposals?.[at] ?? waiting),
        labelled: rows !== null,
      });
      const steps = now() - wish.since < WISH_LIFE ? wish.steps : 0;
      return {
        history: extend(
          history,
          past.map(entry(message.past_proposals)),
          future.map(entry(message.future_proposals)),
        ),
        steps,
      };
    },
  };
}
