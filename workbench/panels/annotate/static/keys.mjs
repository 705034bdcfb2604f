/**
 * From a key press to the name of an action. The bindings come from the kernel, which
 * refuses conflicts (`keys.json` holds the defaults).
 *
 * @typedef {Record<string, string[]>} Bindings  action to the keys that start it
 */
import { keyOf } from "../../shared/static/letters.mjs";

/**
 * The name of a key press as bindings write it: `Mod+` for Ctrl or Command, `Alt+`, and
 * `Shift+` where Shift does not change the character itself.
 * @param {{key: string, code: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean, shiftKey: boolean}} event
 */
export function keyName(event) {
  const pressed = keyOf(event);
  const isLetter = /^\p{L}$/u.test(pressed);
  const key = isLetter ? pressed.toUpperCase() : pressed === " " ? "Space" : pressed;
  const shift = event.shiftKey && (isLetter || key.length > 1) ? "Shift+" : "";
  const mod = event.ctrlKey || event.metaKey ? "Mod+" : "";
  return `${mod}${event.altKey ? "Alt+" : ""}${shift}${key}`;
}

/** @param {Bindings} bindings @returns {Map<string, string>} key name to action */
export function keymap(bindings) {
  const map = new Map();
  for (const [action, keys] of Object.entries(bindings)) {
    for (const key of keys) map.set(key, action);
  }
  return map;
}

/**
 * The class that a digit key stands for: 1-9 the first nine, 0 the tenth.
 * @param {{key: string, code: string}} event
 * @returns {number|null} index into the classes
 */
export function classDigit(event) {
  // On keyboards where digits need Shift (AZERTY), the row's place counts.
  const digit = /^[0-9]$/.test(event.key) ? event.key : /^Digit([0-9])$/.exec(event.code)?.[1];
  if (digit === undefined) return null;
  return digit === "0" ? 9 : Number(digit) - 1;
}

/** Actions that a key that is held down does again and again; any other is done once for a press. */
const REPEATS = new Set([
  "next",
  "previous",
  "undo",
  "redo",
  "select-next",
  "select-previous",
  "zoom-in",
  "zoom-out",
]);

/**
 * Whether a key press is to be obeyed: with a key that is held down nobody has seen the images that
 * would be accepted, or wants what was copied twenty times.
 * @param {string} action @param {{repeat: boolean}} event
 */
export const isPressed = (action, event) => !event.repeat || REPEATS.has(action);

/** Distance for arrow keys in image pixels, or null. @param {string} key name without Shift and Alt */
export function arrowStep(key) {
  /** @type {Record<string, [number, number]>} */
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const step = steps[key];
  return step ? { x: step[0], y: step[1] } : null;
}

/** How a key is written for people. @param {string} key */
export function keyLabel(key) {
  const isMac = globalThis.navigator?.platform?.startsWith("Mac") ?? false;
  /** @type {Record<string, string>} */
  const names = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
  return key
    .split(/(?<=.)\+(?=.)/)
    .map((part) => (part === "Mod" ? (isMac ? "⌘" : "Ctrl") : (names[part] ?? part)))
    .join("+");
}
