import assert from "node:assert/strict";
import { test } from "node:test";

import { splitKey, splitValue, typedNumber } from "../../workbench/panels/widgets/static/camera_controls.mjs";
import { cameraWish } from "../../workbench/panels/widgets/static/camera_device.mjs";
import { statusNotes } from "../../workbench/panels/widgets/static/camera_numbers.mjs";
import { cameraProblem, cameraSurroundings, surroundingsProblem } from "../../workbench/panels/widgets/static/camera_problems.mjs";
import { placedBox } from "../../workbench/panels/widgets/static/camera_stage.mjs";

const page = (more) => ({ hasDevices: true, isSecure: true, isVsCode: false, host: "hub:8888", ...more });

test("a page without encryption is told the way to https and a tunnel", () => {
  const problem = surroundingsProblem(page({ hasDevices: false, isSecure: false }));
  assert.equal(problem.code, "insecure");
  assert.match(problem.text, /https/);
  assert.match(problem.text, /ssh -L 8888:localhost:8888/);
});

test("VS Code is told where a camera is to be had", () => {
  const where = cameraSurroundings({ location: { protocol: "vscode-webview:", host: "x" }, navigator: { userAgent: "Electron", mediaDevices: { getUserMedia() {} } } });
  assert.equal(surroundingsProblem(where).code, "vscode");
});

test("where a camera may be there is no problem", () => {
  assert.equal(surroundingsProblem(page()), null);
});

test("errors of the browser become words", () => {
  assert.equal(cameraProblem({ name: "NotAllowedError" }).code, "denied");
  assert.equal(cameraProblem({ name: "SecurityError" }).code, "denied");
  assert.equal(cameraProblem({ name: "NotFoundError" }).code, "none");
  assert.equal(cameraProblem({ name: "NotReadableError" }).code, "busy");
  assert.equal(cameraProblem({ name: "OverconstrainedError" }).code, "gone");
  assert.match(cameraProblem({ name: "Odd", message: "of a new kind" }).text, /of a new kind/);
});

test("a device is asked for by its id, else front or back", () => {
  assert.deepEqual(cameraWish({ device: "d", facing: "user", size: "640x480" }).video.deviceId, { exact: "d" });
  assert.deepEqual(cameraWish({ device: "", facing: "environment", size: "" }).video.facingMode, { ideal: "environment" });
  assert.deepEqual(cameraWish({ device: "", facing: "", size: "640x480" }).video.width, { ideal: 640 });
});

test("a ratio between splits goes to the list and back", () => {
  const ratio = { train: 0.8, val: 0.2 };
  assert.deepEqual(splitValue(splitKey(ratio)), ratio);
  assert.equal(splitValue(splitKey("val")), "val");
});

test("what is typed is a number or nothing", () => {
  assert.equal(typedNumber("1,5"), 1.5);
  assert.equal(typedNumber(""), null);
  assert.equal(typedNumber("abc"), null);
  assert.equal(typedNumber("-1"), null);
  assert.equal(typedNumber("0.05", 0.1), null);
});

test("a mirrored box lies where the mirrored thing is", () => {
  const size = { width: 200, height: 100 };
  assert.deepEqual(placedBox([0.25, 0.5, 0.1, 0.2], size, false), { x: 40, y: 40, width: 20, height: 20 });
  assert.deepEqual(placedBox([0.25, 0.5, 0.1, 0.2], size, true), { x: 140, y: 40, width: 20, height: 20 });
});

test("a failure comes first, what was left out is counted", () => {
  const notes = statusNotes({ failure: "The disk is full.", slow: true, similar: 3, blurred: 1, dropped: 2, damaged: 0 }, 4);
  assert.equal(notes[0].text, "The disk is full.");
  assert.ok(notes.some((note) => note.text.startsWith("3 skipped")));
  assert.ok(notes.some((note) => note.text.startsWith("6 frames")));
  assert.deepEqual(statusNotes({}, 0), []);
});
