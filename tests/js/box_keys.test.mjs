import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { matchingClasses } from "../../workbench/panels/annotate/static/classes.mjs";
import { createCommands } from "../../workbench/panels/annotate/static/commands.mjs";
import {
  arrowStep,
  classDigit,
  isPressed,
  keymap,
  keyName,
} from "../../workbench/panels/annotate/static/keys.mjs";
import { classColour } from "../../workbench/panels/shared/static/colours.mjs";
import { fake } from "./fakes.mjs";

const press = (key, held = {}) => ({
  key,
  code: "",
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...held,
});

test("keys are named as bindings write them", () => {
  assert.equal(keyName(press("d")), "D");
  assert.equal(keyName(press("z", { ctrlKey: true })), "Mod+Z");
  assert.equal(keyName(press("Z", { metaKey: true, shiftKey: true })), "Mod+Shift+Z");
  assert.equal(keyName(press("?", { shiftKey: true })), "?");
  assert.equal(keyName(press("Tab", { shiftKey: true })), "Shift+Tab");
  assert.equal(keyName(press(" ")), "Space");
  assert.equal(keyName(press("ArrowUp", { altKey: true, shiftKey: true })), "Alt+Shift+ArrowUp");
});

test("on a keyboard of another script a letter is the one at its place", () => {
  assert.equal(keyName(press("в", { code: "KeyD" })), "D");
  assert.equal(keyName(press("я", { code: "KeyZ", ctrlKey: true })), "Mod+Z");
  assert.equal(keyName(press("Ы", { code: "KeyS", shiftKey: true })), "Shift+S");
  assert.equal(keyName(press("q", { code: "KeyA" })), "Q", "AZERTY says what it means");
  assert.equal(keyName(press("é", { code: "Digit2" })), "É");
  assert.equal(keyName(press("Process", { code: "KeyD" })), "Process", "an input method has it");
  assert.equal(keyName(press("Dead", { code: "KeyE" })), "Dead");
});

test("a key that is held down goes on walking and undoing, and does nothing else again", () => {
  const held = { repeat: true };
  for (const action of ["next", "previous", "undo", "zoom-in"])
    assert.ok(isPressed(action, held), action);
  for (const action of [
    "accept",
    "accept-all",
    "paste",
    "copy-previous",
    "delete",
    "select-mode",
  ]) {
    assert.ok(!isPressed(action, held), action);
    assert.ok(isPressed(action, { repeat: false }), action);
  }
});

test("digits stand for classes, on keyboards that shift them too", () => {
  assert.equal(classDigit(press("1")), 0);
  assert.equal(classDigit(press("0")), 9);
  assert.equal(classDigit(press("é", { code: "Digit2" })), 1);
  assert.equal(classDigit(press("x", { code: "KeyX" })), null);
});

test("every action that has keys does something, and the reverse", () => {
  const listed = JSON.parse(
    readFileSync(
      new URL("../../workbench/panels/annotate/static/keys.json", import.meta.url),
      "utf8",
    ),
  );
  const session = { state: { selection: new Set() }, boxes: () => [] };
  const { actions } = createCommands(fake(session), fake({}));
  const bound = new Set(listed.map((item) => item.action));
  assert.deepEqual(
    [...bound].filter((action) => !actions.includes(action)),
    [],
  );
  assert.deepEqual(
    actions.filter((action) => !bound.has(action)),
    ["reject"],
  ); // a button of the review bar
  const keys = listed.flatMap((item) => item.keys);
  assert.equal(keymap(Object.fromEntries(listed.map((i) => [i.action, i.keys]))).size, keys.length);
});

test("arrows are steps", () => {
  assert.deepEqual(arrowStep("ArrowLeft"), { x: -1, y: 0 });
  assert.equal(arrowStep("a"), null);
});

test("finding a class puts names that begin so first", () => {
  const found = matchingClasses(["red car", "Car", "cat", "truck"], "ca");
  assert.deepEqual(
    found.map((item) => item.index),
    [1, 2, 0],
  );
  assert.equal(matchingClasses(["a", "b"], "").length, 2);
});

test("the first forty classes have forty colours, each with a readable ink", () => {
  const colours = Array.from({ length: 40 }, (_, i) => classColour(i));
  assert.equal(new Set(colours.map((colour) => colour.fill)).size, 40);
  const luminance = (hex) => {
    const [r, g, b] = [1, 3, 5].map((at) => {
      const c = parseInt(hex.slice(at, at + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const { fill, ink } of colours) {
    const [high, low] = [luminance(fill), luminance(ink)].sort((a, b) => b - a);
    assert.ok((high + 0.05) / (low + 0.05) >= 3.9, `${ink} on ${fill}`);
  }
});
