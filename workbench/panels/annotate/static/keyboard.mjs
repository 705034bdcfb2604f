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
    if (arrow && isOnStage && session.state.selection.size) {
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
