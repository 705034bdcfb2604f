import assert from "node:assert/strict";
import { test } from "node:test";

import { describeItem, howManyFit, outlines, roomFor } from "../../workbench/panels/widgets/static/gallery_cells.mjs";
import { completed, SORTS, sortOf, withSort } from "../../workbench/panels/widgets/static/gallery_query.mjs";

test("the order is part of the query's text", () => {
  assert.equal(sortOf("class:person sort:-date boxes>3"), "sort:-date");
  assert.equal(sortOf("resort:x"), "");
  assert.equal(withSort("class:person", "sort:name"), "class:person sort:name");
  assert.equal(withSort("sort:-date class:person", "sort:boxes"), "class:person sort:boxes");
  assert.equal(withSort("class:person sort:-date", ""), "class:person");
  for (const [sort] of SORTS) assert.equal(sortOf(withSort("x", sort)), sort);
});

test("a completion takes the place of the word it completes", () => {
  assert.deepEqual(completed("cla", { insert: "class:", start: 0, end: 3 }), { text: "class:", cursor: 6 });
  assert.deepEqual(completed("class:pe boxes>3", { insert: "class:person", start: 0, end: 8 }), { text: "class:person boxes>3", cursor: 12 });
  assert.deepEqual(completed("x unl", { insert: "unlabelled", start: 2, end: 5 }), { text: "x unlabelled ", cursor: 13 });
});

test("a screen reader hears what a cell shows", () => {
  const item = { name: "a.jpg", split: "val", state: "labelled", counts: [[0, 2], [7, 1]], tags: ["odd"], predicted: true };
  assert.equal(describeItem(item, ["cell"]), "a.jpg, val, labelled, has predictions, 2 cell, 1 class 7, tagged odd");
});

test("outlines are in the picture's pixels, one for each class", () => {
  const found = outlines([[0, 0.5, 0.5, 0.2, 0.4], [1, 0.1, 0.1, 0.2, 0.2], [0, 0.25, 0.75, 0.5, 0.5]], 200, 100);
  assert.deepEqual([...found], [[0, "M80 30h40v40h-40zM0 50h100v50h-100z"], [1, "M0 0h40v20h-40z"]]);
});

test("as many chips as fit, and at least one", () => {
  const texts = ["car 3", "bus", "bicycle 12", "traffic light"];
  const all = texts.reduce((sum, text) => sum + roomFor(text) + 28, 0);
  assert.equal(howManyFit(texts, all), 4);
  assert.equal(howManyFit(texts, all - 1), 3);
  assert.equal(howManyFit(texts, 10), 1);
  assert.equal(howManyFit([], 10), 0);
  assert.ok(roomFor("信号灯") > roomFor("abc"));
});
