/** Keys of one view. None of them reaches JupyterLab, whose commands would insert or delete cells. */
import { arrowStep, classDigit, keymap, keyName } from "./keys.mjs";

const BIG_STEP = 10;

/**
 * @param {HTMLElement} root everything of the view
 * @param {HTMLElement} stage where the boxes are
 * @param {{model: object, commands: object, session: object, hand: object}} parts
 */
export function attachKeyboard(root, stage, { model, commands, session, hand }) {
  const abort = new AbortController();
  const on = (type, handler) => root.addEventListener(type, handler, { signal: abort.signal });
  let map = keymap(model.get("bindings"));
  const reread = () => (map = keymap(model.get("bindings")));
  model.on("change:bindings", reread);

  /** @returns {boolean} whether the key was meant for us */
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
    if (event.target.matches("input[type=range]") && (arrow || /^(Page(Up|Down)|Home|End)$/.test(name))) return false;
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
      return commands.run(action);
    }
    const cls = event.ctrlKey || event.metaKey || event.altKey ? null : classDigit(event);
    if (cls === null || cls >= model.get("classes").length) return false;
    commands.setClass(cls);
    return true;
  }

  // A click on what takes no focus gives it to the next element above that does: to us, in place
  // of the notebook's cell, which a key could delete. The next key is meant for the picture.
  root.tabIndex = -1;
  on("focus", () => stage.focus({ preventScroll: true }));
  // JupyterLab's own menu offers to delete the cell.
  on("contextmenu", (event) => {
    event.stopPropagation();
    if (!event.target.matches("input:not([type=range])")) event.preventDefault();
  });
  on("keydown", (event) => {
    event.stopPropagation();
    const isTyping = event.target.matches("input:not([type=range])");
    const isInDialog = event.target.closest("[role=dialog]");
    if (isTyping || isInDialog || event.isComposing) return;
    if (handle(event)) event.preventDefault();
  });
  on("keyup", (event) => {
    event.stopPropagation();
    if (event.key === " ") hand.isSpaceDown(false);
  });
  on("keypress", (event) => event.stopPropagation());
  stage.addEventListener("blur", () => hand.isSpaceDown(false), { signal: abort.signal });

  return {
    close() {
      abort.abort();
      model.off("change:bindings", reread);
    },
  };
}
