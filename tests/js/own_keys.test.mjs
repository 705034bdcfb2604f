/** Keys of a panel: kept in it, and fetched into it. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { ownKeys, ownKeysAround } from "../../workbench/panels/shared/static/own_keys.mjs";
import { fake } from "./fakes.mjs";

/** @type {any} */
let active;
/** @type {any} */
let panel;
const globals = fake(globalThis);

class Key extends Event {
  /** @param {string} type @param {any} [init] */
  constructor(type, init) {
    super(type, { bubbles: true, cancelable: true });
    this.key = init?.key;
  }
}

/** An element as far as `ownKeys` looks at it. @param {{hovered?: boolean}} how */
function element({ hovered = false } = {}) {
  const own = Object.assign(new EventTarget(), {
    dataset: {},
    tabIndex: 0,
    hasAttribute: () => false,
    contains: (/** @type {any} */ other) => other === own,
    matches: (/** @type {string} */ selector) => selector === ":hover" && hovered,
    getClientRects: () => [{}],
    querySelector: () => null,
    querySelectorAll: () => [],
    getRootNode: () => ({ activeElement: active }),
    focus: () => {
      active = own;
    },
  });
  return fake(own);
}

beforeEach(() => {
  active = null;
  panel = element({ hovered: true });
  globals.window = new EventTarget();
  globals.document = { querySelector: () => null };
  globals.Element = class {};
  globals.KeyboardEvent = Key;
});
afterEach(() => {
  for (const name of ["window", "document", "Element", "KeyboardEvent", "MutationObserver"])
    delete globals[name];
});

/** Whether an event of a panel is kept in it. @param {string} type */
function isKept(type) {
  const event = fake(new Event(type, { cancelable: true }));
  let stopped = false;
  event.stopPropagation = () => {
    stopped = true;
  };
  panel.dispatchEvent(event);
  return stopped;
}

test("keys and the context menu are kept in the panel until it lets go", () => {
  const release = ownKeys(panel);
  assert.equal(panel.dataset.lmSuppressShortcuts, "true");
  assert.equal(panel.tabIndex, -1);
  for (const type of ["keydown", "keyup", "keypress", "contextmenu"])
    assert.equal(isKept(type), true, type);
  release();
  assert.equal(isKept("keydown"), false);
});

test("a click gives the keyboard to what takes it, unless a control has it", () => {
  const home = element();
  ownKeys(panel, home);
  panel.dispatchEvent(new Event("click"));
  assert.equal(active, home);
  active = panel; // the panel itself, and no control in it
  panel.dispatchEvent(new Event("click"));
  assert.equal(active, home);
});

test("a first click into a field for a number selects it, the next ones put the cursor", () => {
  let selected = 0;
  const number = Object.assign(control(), { type: "number", select: () => selected++ });
  const word = Object.assign(control(), { type: "text", select: () => selected++ });
  ownKeys(panel);
  const press = (/** @type {any} */ field) => {
    for (const type of ["pointerdown", "click"]) {
      panel.dispatchEvent(Object.defineProperty(new Event(type), "target", { value: field }));
      active = field;
    }
  };
  press(number);
  assert.equal(selected, 1);
  press(number);
  press(word);
  assert.equal(selected, 1);
});

test("among tabs, what is clicked beside gives the keyboard to the panel that is seen", () => {
  const [hidden, seen] = [element(), element()];
  hidden.getClientRects = () => fake([]);
  panel.querySelectorAll = () => fake([hidden, seen]);
  ownKeys(panel);
  panel.dispatchEvent(new Event("click"));
  assert.equal(active, seen);
});

/** A control of the panel, as far as its focus is looked at. */
function control() {
  const own = element();
  own.isConnected = true;
  own.isDisabled = false;
  own.matches = (/** @type {string} */ selector) => selector === ":disabled" && own.isDisabled;
  return own;
}

/** The browser takes the focus away from a control by itself. @param {any} lost */
function lose(lost) {
  active = globals.document.body;
  const event = fake(new Event("focusout"));
  Object.defineProperties(event, { target: { value: lost }, relatedTarget: { value: null } });
  panel.dispatchEvent(event);
}

test("a control that loses the focus by itself leaves it to the panel, and takes it back", () => {
  /** @type {(() => void)[]} */
  const changed = [];
  globals.document.body = element();
  globals.requestAnimationFrame = (/** @type {() => void} */ look) => look();
  globals.MutationObserver = class {
    /** @param {() => void} react */
    constructor(react) {
      changed.push(react);
    }
    observe() {}
    disconnect() {}
  };
  ownKeys(panel);
  const start = control();
  lose(start); // the window lost it: nothing has become of the control
  assert.equal(active, globals.document.body);
  start.isDisabled = true;
  lose(start);
  assert.equal(active, panel);
  start.isDisabled = false;
  changed.pop()?.();
  assert.equal(active, start);

  start.isDisabled = true;
  lose(start);
  const other = control();
  active = other; // the person has gone on meanwhile
  start.isDisabled = false;
  changed.pop()?.();
  assert.equal(active, other);
});

/** Press a key elsewhere on the page; returns whether JupyterLab hears of it. */
function pressElsewhere(target = new EventTarget()) {
  const event = fake(new Key("keydown", { key: "b" }));
  let stopped = false;
  const facts = {
    isTrusted: { value: true },
    target: { value: target },
    composedPath: { value: () => [target] },
    stopImmediatePropagation: {
      value: () => {
        stopped = true;
      },
    },
  };
  // A real event's `isTrusted` cannot be set, so what is handed over inherits from one.
  const handed = Object.create(event, facts);
  for (const listener of heard) listener(handed);
  return !stopped;
}

/** @type {((event: any) => void)[]} */
let heard = [];

test("a key that is pressed while the pointer is over the panel comes to it", () => {
  heard = [];
  globals.window = {
    addEventListener: (/** @type {string} */ _type, /** @type {any} */ listener) =>
      heard.push(listener),
  };
  /** @type {string[]} */
  const keys = [];
  panel.addEventListener("keydown", (/** @type {any} */ event) => keys.push(event.key));
  ownKeys(panel);
  assert.equal(pressElsewhere(), false);
  assert.deepEqual(keys, ["b"]);
  assert.equal(active, panel);

  panel.getClientRects = () => fake([]); // on a page that is hidden: the browser errs
  assert.equal(pressElsewhere(), true);
  panel.getClientRects = () => fake([{}]);
  panel.matches = () => false; // the pointer has left
  assert.equal(pressElsewhere(), true);
  assert.deepEqual(keys, ["b"]);
});

test("who types elsewhere is left in peace", () => {
  heard = [];
  globals.window = {
    addEventListener: (/** @type {string} */ _type, /** @type {any} */ listener) =>
      heard.push(listener),
  };
  const cell = fake(new globals.Element());
  cell.closest = () => cell;
  ownKeys(panel);
  assert.equal(pressElsewhere(cell), true);
});

test("a panel of Jupyter's widgets is found as soon as the element is in it", () => {
  /** @type {(() => void)[]} */
  const frames = [];
  globals.requestAnimationFrame = (/** @type {() => void} */ look) => frames.push(look);
  globals.cancelAnimationFrame = () => {};
  let parent = null;
  const release = ownKeysAround(fake({ closest: () => parent }), ".panel");
  assert.equal(frames.length, 1);
  parent = panel;
  frames.pop()?.();
  assert.equal(isKept("keydown"), true);
  release();
  assert.equal(isKept("keydown"), false);
});
