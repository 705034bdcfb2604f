/** What a session asks of the kernel beside images and saving, and the boxes that come of it. */
/** @import { ClickedMessage, How, TightenedMessage, Where, Xyxy } from "../../types.d.ts" */
/** @import { Box, Change, Post, State } from "./session.mjs" */

import { makeBox, toRows, withBox, withChanged } from "./document.mjs";

/**
 * @param {object} session
 * @param {(message: Post) => void} session.post
 * @param {State} session.state
 * @param {() => Box[]} session.boxes of the image that is shown
 * @param {(what: string, boxesAfter: Box[]) => void} session.edit
 * @param {(what: Change) => void} session.notify
 */
export function createAsking({ post, state, boxes, edit, notify }) {
  /** What the kernel was asked to draw in. @type {{key: string, before: Map<number, Box>} | null} */
  let tightening = null;

  /**
   * Boxes that the kernel has drawn in; what was changed or left meanwhile stays.
   * @param {TightenedMessage} message
   */
  function receiveTightened(message) {
    const asked = tightening;
    if (!asked || asked.key !== message.key || state.frame?.key !== message.key) return;
    tightening = null;
    /** @type {Map<number, Xyxy>} */
    const found = new Map();
    message.ids.forEach((box, i) => {
      const before = asked.before.get(box);
      const now_ = boxes().find((own) => own.id === box);
      const isMoved = before?.xyxy.some((value, side) => value !== message.boxes[i][side]);
      if (before && now_?.xyxy === before.xyxy && isMoved) found.set(box, message.boxes[i]);
    });
    if (!found.size) return;
    const changed = withChanged(boxes(), new Set(found.keys()), (box) => ({
      xyxy: found.get(box.id) ?? box.xyxy,
    }));
    edit("tighten", changed);
  }

  /** A box around what was clicked. @param {ClickedMessage} message */
  function receiveClicked({ key, xyxy }) {
    if (!xyxy || state.frame?.key !== key) return;
    const box = makeBox(state.currentClass, xyxy);
    edit("draw", withBox(boxes(), box));
    Object.assign(state, { selection: new Set([box.id]), drawn: box.id });
    notify("selection");
  }

  const wishes = {
    /**
     * Have boxes proposed, or stop that; without a wish by the active model, on what is not labelled.
     * @param {{how?: How, where?: Where, boxes?: Box[], at?: "ray"}} wish
     */
    suggest({ how, where, boxes: like, at } = {}) {
      const key = state.frame?.key;
      const own = like && { key, boxes: toRows(like) };
      post({ kind: "suggest", how, where, ...own, ...(at && { at }) });
    },

    /** Have a box drawn around what is at a place. @param {{x: number, y: number}} at image pixels */
    clickAt(at) {
      const { frame } = state;
      if (frame) post({ kind: "click", key: frame.key, point: [at.x, at.y] });
    },

    /** Fetch the files that were offered, and go on. */
    fetchFiles() {
      post({ kind: "fetch" });
    },

    /** Have a model learn from what is reviewed, or stop that. */
    teach() {
      post({ kind: "teach" });
    },

    /** Have boxes of this image drawn in to what they show. @param {Box[]} chosen */
    tighten(chosen) {
      const { frame } = state;
      if (!frame?.editable) return;
      const ids = chosen.map((box) => box.id);
      tightening = { key: frame.key, before: new Map(chosen.map((box) => [box.id, box])) };
      post({ kind: "tighten", key: frame.key, ids, boxes: chosen.map((box) => [...box.xyxy]) });
    },

    /** Open a panel that brings images. @param {string} panel */
    openPanel(panel) {
      post({ kind: "open", panel });
    },

    /** Append a class to the dataset. @param {string} name */
    addClass(name) {
      post({ kind: "add_class", name });
    },

    submit() {
      post({ kind: "submit" });
    },
  };

  return { wishes, receiveTightened, receiveClicked };
}
