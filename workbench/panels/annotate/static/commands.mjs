/**
 * What each action does, by the names that `keys.json` binds to keys.
 *
 * @typedef {ReturnType<typeof import("./session.mjs").createSession>} Session
 * @typedef {object} ViewCommands  what actions need of the view they were started in
 * @property {(factor: number) => void} zoomBy
 * @property {() => void} fit
 * @property {() => void} actualSize
 * @property {() => Xyxy} visible image pixels
 * @property {() => boolean} breakOff
 * @property {() => boolean} walks whether there are other images to go to
 * @property {() => void} toggleCrosshair
 * @property {() => void} toggleHelp
 * @property {() => void} findClass
 * @property {() => void} openMenu of the selected boxes
 * @property {() => void} openSuggestions the menu of what can be looked for
 * @property {() => import("./geometry.mjs").Point|null} pointerAt image pixels under the pointer
 * @property {() => Box|null} aimed the prediction that the pointer was moved onto, while none is selected
 * @property {() => void} toggleObjects the list of them
 * @property {() => void} toggleFilmstrip
 * @property {() => void} toggleFullScreen
 * @property {() => "pass"} leave let the key move the focus on
 * @property {(text: string) => void} tell why a key did nothing, to eyes and ears
 */
/** @import { Xyxy } from "../../types.d.ts" */

import {
  copies,
  makeBox,
  nextBox,
  withAccepted,
  withBox,
  withChanged,
  withLast,
  withoutBoxes,
} from "./document.mjs";
import { allowedShift, boxBetween, resized, shifted } from "./geometry.mjs";

const NOTHING_TO_UNDO = "There is nothing to undo on this image.";

/** Why nothing is undone; whoever has just gone on is told where the last edit is. @param {{target(): number}} session */
export const nothingToUndo = (session) =>
  session.target() > 0
    ? `${NOTHING_TO_UNDO} What you did on the one before is undone there.`
    : NOTHING_TO_UNDO;
export const NOTHING_TO_REDO = "There is nothing to redo on this image.";
export const FIRST_IMAGE = "This is the first image.";
export const LAST_IMAGE = "This is the last image.";
export const HAS_BOXES = "There are boxes on this image: delete them first.";

const DUPLICATE_OFFSET = 10;
const WITHOUT_IMAGE = new Set([
  "help",
  "next",
  "previous",
  "next-unlabelled",
  "objects",
  "filmstrip",
  "full-screen",
]);
export const NONE_SELECTED = "No box is selected: click one first.";

/** @typedef {import("./document.mjs").Box} Box */

/** @param {Session} session @param {ViewCommands} view */
export function createCommands(session, view) {
  const { state } = session;
  const selected = () => session.boxes().filter((box) => state.selection.has(box.id));
  const free = () => selected().filter((box) => !state.locked.has(box.id));
  /** @param {Box[]} boxes */
  const ids = (boxes) => new Set(boxes.map((box) => box.id));
  const proposals = () => session.boxes().filter((box) => box.proposal && session.isShown(box));

  /** @param {string} what @param {Box[]} boxes @param {string} whyNot */
  function add(what, boxes, whyNot) {
    if (!state.frame?.editable) return;
    if (!boxes.length) return view.tell(whyNot);
    session.edit(what, [...session.boxes(), ...boxes]);
    session.select(ids(boxes));
  }

  /** @param {string} what @param {Box[]} boxes @param {string} whyNot */
  function remove(what, boxes, whyNot) {
    if (!boxes.length) return view.tell(whyNot);
    session.edit(what, withoutBoxes(session.boxes(), ids(boxes)));
  }

  /** @param {number} by */
  function step(by) {
    const at = session.target();
    if (state.total && (at + by < 0 || at + by >= state.total)) {
      view.tell(by > 0 ? LAST_IMAGE : FIRST_IMAGE);
    } else session.step(by);
  }

  /** What is shown is right: take it, and go to the next image. */
  function acceptAndGoOn() {
    const shown = proposals();
    if (shown.length) session.edit("accept all", withAccepted(session.boxes(), ids(shown)));
    session.submit();
    if (!view.walks()) return;
    if (session.isReviewed()) step(1);
    else
      view.tell("Nothing is here to accept: draw what is missing, or mark that nothing is here.");
  }

  function newBox() {
    if (!state.frame?.editable) return;
    const [left, top, right, bottom] = view.visible();
    const [width, height] = [right - left, bottom - top];
    const from = { x: left + width * 0.375, y: top + height * 0.375 };
    const to = { x: right - width * 0.375, y: bottom - height * 0.375 };
    const box = makeBox(state.currentClass, boxBetween(from, to, state.frame));
    session.edit("draw", withBox(session.boxes(), box));
    session.select([box.id]);
  }

  /** @param {1|-1} step */
  function walkBoxes(step) {
    const visible = session.boxes().filter(session.isShown);
    const [present] = state.selection;
    const next = nextBox(visible, present ?? null, step);
    if (next === null) {
      session.select([]);
      return false;
    }
    session.select([next]);
    return true;
  }

  /** @param {Set<number>} set @param {Box[]} boxes */
  function toggleAll(set, boxes) {
    const isOn = boxes.length > 0 && boxes.every((box) => set.has(box.id));
    for (const box of boxes) isOn ? set.delete(box.id) : set.add(box.id);
  }

  /** @type {Record<string, () => unknown>} */
  const actions = {
    next: () => step(1),
    previous: () => step(-1),
    "next-unlabelled": () => session.goNextUnlabelled(),
    suggest: () => session.suggest(),
    find: () => view.openSuggestions(),
    teach: () => session.teach(),
    "nothing-here": () =>
      session.boxes().some((box) => !box.proposal) ? view.tell(HAS_BOXES) : session.nothingHere(),
    undo: () => (session.canUndo() ? session.undo() : view.tell(nothingToUndo(session))),
    redo: () => (session.canRedo() ? session.redo() : view.tell(NOTHING_TO_REDO)),
    delete() {
      const aimed = state.selection.size ? null : view.aimed();
      if (aimed) remove("reject", [aimed], NONE_SELECTED);
      else remove("delete", free(), noneFree("delete"));
    },
    accept() {
      const chosen = selected().filter((box) => box.proposal);
      if (chosen.length) session.edit("accept", withAccepted(session.boxes(), ids(chosen)));
      else acceptAndGoOn();
    },
    "accept-all": () =>
      proposals().length
        ? session.edit("accept all", withAccepted(session.boxes(), ids(proposals())))
        : view.tell("There are no predictions to accept on this image."),
    "reject-all": () =>
      remove("reject all", proposals(), "There are no predictions to reject on this image."),
    reject: () =>
      remove(
        "reject",
        selected().filter((box) => box.proposal),
        "No prediction is selected.",
      ),
    "select-mode": () => session.update((s) => (s.selecting = !s.selecting)),
    "new-box": newBox,
    duplicate: () => add("duplicate", copied(selected(), DUPLICATE_OFFSET), NONE_SELECTED),
    tighten() {
      const own = session.boxes().filter((box) => !box.proposal);
      const chosen = state.selection.size ? free() : own.slice(-1);
      const left = chosen.filter((box) => !state.locked.has(box.id));
      if (left.length) session.tighten(left);
      else view.tell("There is no box to draw in: draw one first, or select some.");
    },
    "click-box"() {
      const at = view.pointerAt();
      if (!state.frame?.editable) return;
      if (at) session.clickAt(at);
      else view.tell("Point at something on the picture: a box is drawn around it.");
    },
    copy: () =>
      selected().length
        ? session.update((s) => (s.clipboard = selected()))
        : view.tell(NONE_SELECTED),
    paste: () =>
      add(
        "paste",
        copied(state.clipboard, samePlace(state.clipboard) ? DUPLICATE_OFFSET : 0),
        "No box has been copied yet.",
      ),
    "copy-previous": () =>
      add(
        "copy from previous",
        copied(state.previousBoxes, 0),
        "The image shown before has no boxes to copy.",
      ),
    front() {
      const boxes = free();
      if (!boxes.length) return view.tell(noneFree("reorder"));
      const after = withLast(session.boxes(), ids(boxes));
      if (after.every((box, i) => box === session.boxes()[i]))
        return view.tell("Nothing lies before it.");
      session.edit("to front", after);
    },
    menu: () => view.openMenu(),
    objects: () => view.toggleObjects(),
    filmstrip: () => view.walks() && view.toggleFilmstrip(),
    "full-screen": () => view.toggleFullScreen(),
    "find-class": () => view.findClass(),
    "select-next": () => walkBoxes(1) || view.leave(),
    "select-previous": () => walkBoxes(-1) || view.leave(),
    "select-all": () =>
      session.select(
        session
          .boxes()
          .filter(session.isShown)
          .map((b) => b.id),
      ),
    deselect: () => view.breakOff() || session.select([]),
    hide: () =>
      session.update((s) => {
        const away = session.boxes().filter((box) => s.hidden.has(box.id));
        if (s.selection.size) toggleAll(s.hidden, selected());
        else toggleAll(s.hidden, away.length ? away : session.boxes());
        s.selection = new Set();
      }),
    lock: () =>
      selected().length
        ? session.update((s) => toggleAll(s.locked, selected()))
        : view.tell(NONE_SELECTED),
    "zoom-in": () => view.zoomBy(1.25),
    "zoom-out": () => view.zoomBy(0.8),
    fit: () => view.fit(),
    "actual-size": () => view.actualSize(),
    crosshair: () => view.toggleCrosshair(),
    help: () => view.toggleHelp(),
  };

  /** @param {string} verb what cannot be done, as no selected box is free */
  function noneFree(verb) {
    return selected().length
      ? `The selected boxes are locked: unlock them to ${verb} them.`
      : NONE_SELECTED;
  }

  /** Copies of boxes for the image that is shown. @param {Box[]} boxes @param {number} offset */
  function copied(boxes, offset) {
    return state.frame ? copies(boxes, offset, state.frame) : [];
  }

  /** Whether pasted boxes would lie exactly upon those they were copied from. @param {Box[]} boxes */
  function samePlace(boxes) {
    return boxes.some((box) => session.boxes().some((other) => other.id === box.id));
  }

  return {
    /** @param {string} action @returns {boolean} false: let the key do what it does elsewhere */
    run(action) {
      const needsImage = !WITHOUT_IMAGE.has(action);
      if (needsImage && !state.frame) return true;
      return actions[action]?.() !== "pass";
    },

    /** Set the class of the selection, and of what is drawn next. @param {number} cls */
    setClass(cls) {
      const changing = free().filter((box) => box.cls !== cls || box.proposal);
      session.update((s) => (s.currentClass = cls));
      if (changing.length)
        session.edit(
          "class",
          withChanged(session.boxes(), ids(changing), () => ({ cls })),
        );
    },

    /** Move the selection by whole pixels; locked boxes stay. @param {number} dx @param {number} dy */
    nudge(dx, dy) {
      const boxes = free();
      if (!boxes.length || !state.frame) return;
      const shift = allowedShift(
        boxes.map((box) => box.xyxy),
        dx,
        dy,
        state.frame,
      );
      if (shift.x || shift.y) {
        session.edit(
          "move",
          withChanged(session.boxes(), ids(boxes), (box) => ({ xyxy: shifted(box.xyxy, shift) })),
          `nudge ${[...ids(boxes)]}`,
        );
      }
    },

    /** Move the right and bottom edges of the selection; locked boxes stay. @param {number} dx @param {number} dy */
    stretch(dx, dy) {
      const boxes = free();
      const { frame } = state;
      if (!boxes.length || !frame) return;
      /** @param {Box} box @returns {Xyxy} */
      const reach = (box) => {
        const to = {
          x: Math.max(box.xyxy[2] + dx, box.xyxy[0] + 1),
          y: Math.max(box.xyxy[3] + dy, box.xyxy[1] + 1),
        };
        return resized(box.xyxy, dx ? "e" : "s", to, frame);
      };
      session.edit(
        "resize",
        withChanged(session.boxes(), ids(boxes), (box) => ({ xyxy: reach(box) })),
        `stretch ${[...ids(boxes)]}`,
      );
    },

    actions: Object.keys(actions),
  };
}
