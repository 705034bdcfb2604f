/** Keys of one view. None of them reaches JupyterLab, whose commands would insert or delete cells. */
/** @import { CanvasModel } from "../../types.d.ts" */
import { ownKeys } from "../../shared/static/own_keys.mjs";
import { arrowStep, classDigit, isPressed, keymap, keyName } from "./keys.mjs";

const BIG_STEP = 10;

/**
 * @param {HTMLElement} root everything of the view
 * @param {HTMLElement} stage where the boxes are
 * @param {object} parts
 * @param {CanvasModel} parts.model
 * @param {ReturnType<typeof import("./commands.mjs").createCommands>} parts.commands
 * @param {import("./commands.mjs").Session} parts.session
 * @param {ReturnType<typeof import("./input.mjs").attachPointer>} parts.hand
 */
export function attachKeyboard(root, stage, { model, commands, session, hand }) {
  const abort = new AbortController();
  /**
   * @template {keyof HTMLElementEventMap} Type
   * @param {Type} type @param {(event: HTMLElementEventMap[Type]) => void} handler
   */
  const on = (type, handler) => root.addEventListener(type, handler, { signal: abort.signal });
  let map = keymap(model.get("bindings"));
  const reread = () => (map = keymap(model.get("bindings")));
  model.on("change:bindings", reread);

  /** @param {KeyboardEvent} event @returns {boolean} whether the key was meant for us */
  function handle(event) {
    const isOnStage = event.target === stage;
    const name = keyName(event);
    if (name === "Space" && isOnStage) {
      hand.isSpaceDown(true);
      return true;
    }
    const arrow = event.ctrlKey || event.metaKey ? null : arrowStep(event.key);
    // A slider's own keys; everywhere else arrows belong to the selected boxes, and never change
    // the image while there are any.
    const isSlider = /** @type {Element} */ (event.target).matches("input[type=range]");
    if (isSlider && (arrow || /^(Page(Up|Down)|Home|End)$/.test(name))) return false;
    if (arrow && session.state.selection.size) {
      const reach = event.shiftKey ? BIG_STEP : 1;
      const act = event.altKey ? commands.stretch : commands.nudge;
      act(arrow.x * reach, arrow.y * reach);
      return true;
    }
    const action = map.get(name);
    if (action) {
      // On a button, Tab walks the controls and Enter presses it, as everywhere.
      if (!isOnStage && /(Tab|Enter|Space)$/.test(name)) return false;
      return isPressed(action, event) ? commands.run(action) : true;
    }
    const cls = event.ctrlKey || event.metaKey || event.altKey ? null : classDigit(event);
    if (cls === null || cls >= model.get("classes").length) return false;
    commands.setClass(cls);
    return true;
  }

  const release = ownKeys(root, stage); // the next key is meant for the picture
  on("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    const isTyping = target.matches("input:not([type=range])");
    const isInDialog = target.closest("[role=dialog], [role=menu], select");
    if (isTyping || isInDialog || event.isComposing) return;
    if (handle(event)) event.preventDefault();
  });
  on("keyup", (event) => {
    if (event.key === " ") hand.isSpaceDown(false);
  });
  stage.addEventListener("blur", () => hand.isSpaceDown(false), { signal: abort.signal });

  return {
    close() {
      abort.abort();
      release();
      model.off("change:bindings", reread);
    },
  };
}
