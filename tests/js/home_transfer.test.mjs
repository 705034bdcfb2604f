import assert from "node:assert/strict";
import { test } from "node:test";

import { nameOf } from "../../workbench/panels/home/static/transfer.mjs";

test("a dataset is called as the one file or folder that it is made of", () => {
  assert.equal(nameOf(["export.zip"]), "export");
  assert.equal(nameOf(["cups.v2.tar.gz"]), "cups.v2");
  assert.equal(nameOf(["cups/images/a.jpg", "cups/labels/a.txt"]), "cups");
  assert.equal(nameOf(["a.jpg", "b.jpg"]), "pictures");
});
