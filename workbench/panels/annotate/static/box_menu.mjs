/** What the menu of the stage offers: for the boxes that are selected, or for the picture. */
/** @import { Point } from "./geometry.mjs" */
/** @import { MenuGroup, MenuItem } from "../../shared/static/context_menu.mjs" */

import { classColour } from "../../shared/static/colours.mjs";
import { boxesAt, toImage, toScreen } from "./geometry.mjs";
import { keyLabel } from "./keys.mjs";

/** More classes than this scroll in a part of the menu, and can be found by typing instead. */
const MANY_CLASSES = 6;
const NOTE = "Lock and hide: in this page only. The label file stays as it is.";

/**
 * @typedef {object} MenuView
 * @property {() => string[]} names of the classes
 * @property {() => string[]} colours of those that have one of their own
 * @property {() => Record<string, string[]>} bindings
 * @property {() => boolean} walks whether there are other images
 * @property {() => import("./geometry.mjs").Viewport} viewport
 * @property {() => import("../../types.d.ts").Size} size of the stage
 * @property {() => void} opening the menu is about to open
 *
 * @param {HTMLElement} stage
 * @param {ReturnType<typeof import("../../shared/static/context_menu.mjs").createContextMenu>} menu
 * @param {import("./commands.mjs").Session} session
 * @param {ReturnType<typeof import("./commands.mjs").createCommands>} commands
 * @param {MenuView} view
 */
export function attachBoxMenu(stage, menu, session, commands, view) {
  const { names, colours, bindings, walks } = view;
  const { state } = session;
  const selected = () => session.boxes().filter((box) => state.selection.has(box.id));

  /** @param {string} action @param {string} text @param {string} whyNot @returns {MenuItem} */
  const item = (action, text, whyNot = "") => ({
    text,
    whyNot,
    keys: keyLabel(bindings()[action]?.[0] ?? ""),
    run: () => commands.run(action),
  });

  /** @returns {{name: string, groups: MenuGroup[], note: string}} */
  function ofBoxes() {
    const boxes = selected();
    const isAll = (/** @type {Set<number>} */ set) => boxes.every((box) => set.has(box.id));
    const readOnly = state.frame?.editable ? "" : (state.frame?.problem ?? "");
    const locked = isAll(state.locked) ? "Locked: unlock it first." : "";
    const whyNot = readOnly || locked;
    const [one] = new Set(boxes.map((box) => box.cls)).size === 1 ? boxes : [];
    const waiting = boxes.some((box) => box.proposal);
    return {
      name: describe(boxes),
      note: NOTE,
      groups: [
        {
          name: "Class",
          many: names().length > MANY_CLASSES,
          items: names().map((text, cls) => ({
            text,
            whyNot,
            colour: classColour(cls, colours()).fill,
            checked: one?.cls === cls,
            ...(cls < 10 ? { key: String((cls + 1) % 10), keys: String((cls + 1) % 10) } : {}),
            run: () => commands.setClass(cls),
          })),
        },
        {
          name: "Review",
          items: waiting
            ? [item("accept", "Accept", readOnly), item("reject", "Reject", readOnly)]
            : [],
        },
        {
          name: "Boxes",
          items: [
            item("duplicate", "Duplicate", readOnly),
            item("front", "Bring to front", whyNot),
            item("lock", isAll(state.locked) ? "Unlock" : "Lock"),
            item("hide", isAll(state.hidden) ? "Show" : "Hide"),
            item("delete", "Delete", whyNot),
          ],
        },
      ],
    };
  }

  /** @param {ReturnType<typeof selected>} boxes */
  function describe(boxes) {
    if (boxes.length > 1) return `${boxes.length} boxes`;
    const [{ cls, xyxy }] = boxes;
    const [width, height] = [xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]].map(Math.round);
    return `${names()[cls] ?? `class ${cls}`}, ${width} × ${height}`;
  }

  /** @returns {{name: string, groups: MenuGroup[], note: string}} */
  function ofPicture() {
    const boxes = session.boxes();
    const count = (/** @type {Set<number>} */ set) => boxes.filter((box) => set.has(box.id)).length;
    const [hidden, locked] = [count(state.hidden), count(state.locked)];
    const none = boxes.length ? "" : "There is no box on this image.";
    return {
      name: "This image",
      note: hidden || locked ? NOTE : "",
      groups: [
        {
          name: "Boxes",
          items: [
            item("new-box", "New box in the middle"),
            item("paste", "Paste", state.clipboard.length ? "" : "No box has been copied yet."),
            item("select-all", "Select all", none),
          ],
        },
        {
          name: "Shown",
          items: [
            ...(hidden
              ? [
                  {
                    text: `Show what is hidden (${hidden})`,
                    run: () => session.update((s) => s.hidden.clear()),
                  },
                ]
              : []),
            ...(locked
              ? [
                  {
                    text: `Unlock all (${locked})`,
                    run: () => session.update((s) => s.locked.clear()),
                  },
                ]
              : []),
            item("objects", "List of the objects"),
            item("fit", "Show the whole image"),
            ...(walks()
              ? [
                  item(
                    "nothing-here",
                    "Nothing here",
                    boxes.length ? "There are boxes on this image: delete them first." : "",
                  ),
                ]
              : []),
          ],
        },
      ],
    };
  }

  /** @param {Point} [at] on the stage; without it: where the selected boxes are, or its middle */
  function open(at) {
    if (!state.frame) return;
    view.opening();
    menu.open(at ?? middleOfSelection(), selected().length ? ofBoxes() : ofPicture());
  }

  function middleOfSelection() {
    const [box] = selected();
    const size = view.size();
    if (!box) return { x: size.width / 2, y: size.height / 2 };
    const [left, top, right, bottom] = toScreen(view.viewport(), box.xyxy);
    return { x: (left + right) / 2, y: (top + bottom) / 2 };
  }

  /** Select what is under a point: locked boxes too, since the menu unlocks them. @param {Point} point */
  function aim(point) {
    const viewport = view.viewport();
    const shown = session.boxes().filter(session.isShown);
    const found = boxesAt(shown, toImage(viewport, point), 3 / viewport.scale);
    if (found.some((box) => state.selection.has(box.id))) return;
    session.select(found.length ? [found[0].id] : []);
  }

  /** @param {{clientX: number, clientY: number}} event @returns {Point} */
  const onStage = (event) => {
    const edge = stage.getBoundingClientRect();
    return { x: event.clientX - edge.left, y: event.clientY - edge.top };
  };

  stage.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    // The key for menus has no place of its own.
    const isKey = event.button !== 2 && event.pointerType !== "touch" && !event.ctrlKey;
    if (!isKey) aim(onStage(event));
    open(isKey ? undefined : onStage(event));
  });

  return {
    /** @param {{x: number, y: number}} [at] on the page */
    open: (at) => open(at && onStage({ clientX: at.x, clientY: at.y })),
  };
}
