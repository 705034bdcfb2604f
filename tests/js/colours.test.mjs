import assert from "node:assert/strict";
import { test } from "node:test";
import { classColour } from "../../workbench/panels/shared/static/colours.mjs";

test("a class has the colour of its id unless it has one of its own", () => {
  const usual = classColour(1);
  assert.equal(usual.fill, "#56b4e9");
  assert.deepEqual(classColour(1, []), usual);
  assert.deepEqual(classColour(1, ["#112233", ""]), usual);
  assert.deepEqual(classColour(0, ["#112233", ""]), { fill: "#112233", ink: "#ffffff" });
  assert.equal(classColour(0, ["#FFEE00"]).ink, "#101010");
});
