/** What can be looked for: what a model knows, words, or what is like the selected boxes. */
/** @import { How, Where } from "../../types.d.ts" */
/** @import { MenuGroup, MenuItem } from "../../shared/static/context_menu.mjs" */

import { keyLabel } from "./keys.mjs";

/** Where the menu opens on the stage, in CSS pixels. */
const CORNER = { x: 8, y: 8 };
const NOTE =
  "Words: the dataset's prompts, else the names of its classes. The same pixels need no model, and " +
  "find what is nearly identical.";

/** @type {[Where, string][]} */
const PLACES = [
  ["image", "on this image"],
  ["walk", "in this walk"],
  ["dataset", "in the dataset"],
];

/**
 * @param {ReturnType<typeof import("../../shared/static/context_menu.mjs").createContextMenu>} menu
 * @param {import("./commands.mjs").Session} session
 * @param {object} view
 * @param {() => Record<string, string[]>} view.bindings
 * @param {() => string[]} view.names
 * @param {() => string} view.elsewhere where else a model can look; empty: nowhere
 * @param {() => void} view.opening
 */
export function createSuggestMenu(menu, session, { bindings, names, elsewhere, opening }) {
  /** The selected boxes, or else the one that was drawn last: what is like them is looked for. */
  function examples() {
    const { selection } = session.state;
    const labels = session.boxes().filter((box) => !box.proposal);
    return selection.size ? labels.filter((box) => selection.has(box.id)) : labels.slice(-1);
  }

  /** Why there is none. */
  function noExample() {
    return session.state.selection.size
      ? "Only suggestions are selected: accept one first (Enter). What is like a label is looked for."
      : "Draw a box first: what is like it is looked for.";
  }

  /** @param {How} how @param {string} begin @param {string} whyNot @returns {MenuItem[]} */
  const similar = (how, begin, whyNot) =>
    PLACES.map(([where, place]) => ({
      text: `${begin} ${place}`,
      whyNot,
      run: () => session.suggest({ how, where, boxes: examples() }),
    }));

  /** @returns {MenuGroup[]} */
  function groups() {
    const boxes = examples();
    const whyNot = boxes.length ? "" : noExample();
    const like =
      boxes.length > 1
        ? `Like these ${boxes.length} boxes`
        : `Like this ${names()[boxes[0]?.cls] ?? "box"}`;
    return [
      {
        name: "Classes",
        items: [
          {
            text: "What the active model knows",
            keys: keyLabel(bindings().suggest?.[0] ?? ""),
            run: () => session.suggest(),
          },
          ...(elsewhere()
            ? [{ text: `The same, ${elsewhere()}`, run: () => session.suggest({ at: "ray" }) }]
            : []),
          { text: "The classes in words", run: () => session.suggest({ how: "words" }) },
        ],
      },
      { name: "Similar", items: similar("similar", `${like},`, whyNot) },
      { name: "Pixels", items: similar("pixels", "The same pixels,", whyNot) },
    ];
  }

  return {
    open() {
      if (!session.state.frame) return;
      opening();
      menu.open(CORNER, { name: "Look for", groups: groups(), note: NOTE });
    },
  };
}
