import assert from "node:assert/strict";
import { test } from "node:test";
import { boxPath, tileAt } from "../../workbench/panels/evaluate/static/finding_tiles.mjs";
import { rowAt, sparkPoints } from "../../workbench/panels/models/static/model_table.mjs";
import { createDownload } from "../../workbench/panels/shared/static/download.mjs";

test("keys walk a grid and stay in it", () => {
  const grid = { columns: 3, total: 7 };
  assert.equal(tileAt("ArrowRight", 0, grid), 1);
  assert.equal(tileAt("ArrowDown", 1, grid), 4);
  assert.equal(tileAt("ArrowUp", 4, grid), 1);
  assert.equal(tileAt("ArrowDown", 5, grid), 5);
  assert.equal(tileAt("ArrowLeft", 0, grid), 0);
  assert.equal(tileAt("ArrowRight", 6, grid), 6);
  assert.equal(tileAt("End", 0, grid), 6);
  assert.equal(tileAt("a", 0, grid), null);
  assert.equal(tileAt("Home", 0, { columns: 1, total: 0 }), null);
});

test("a box is drawn in the pixels of the part that is shown", () => {
  assert.equal(boxPath([0.25, 0.5, 0.5, 0.25], 80, 40), "M20 20h40v10h-40z");
});

test("a curve fills the width, its highest value the height", () => {
  assert.equal(sparkPoints([0, 0.25, 0.5], 90, 22, 2), "2,20 45,11 88,2");
  assert.equal(sparkPoints([0, 0], 90, 22, 2), "2,20 88,20");
});

test("keys walk the models and stay among them", () => {
  assert.equal(rowAt("ArrowDown", 0, 3), 1);
  assert.equal(rowAt("ArrowDown", 2, 3), 2);
  assert.equal(rowAt("Home", 2, 3), 0);
  assert.equal(rowAt("Enter", 0, 3), null);
});

test("a download takes the pieces in order, each once", async () => {
  const download = createDownload();
  const piece = (...bytes) => new DataView(new Uint8Array(bytes).buffer);
  assert.equal(download.take(0, piece(1, 2)), true);
  assert.equal(download.take(0, piece(1, 2)), false); // asked for by another view
  assert.equal(download.take(2, piece()), false);
  assert.equal(download.take(2, piece(3)), true);
  assert.equal(download.size, 3);
  assert.deepEqual([...new Uint8Array(await download.blob().arrayBuffer())], [1, 2, 3]);
});
