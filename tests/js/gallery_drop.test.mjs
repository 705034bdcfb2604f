import assert from "node:assert/strict";
import { test } from "node:test";

import {
  droppedOn,
  filesIn,
  isImport,
  pathOf,
  refusal,
} from "../../workbench/panels/shared/static/drop.mjs";
import { createUploader } from "../../workbench/panels/shared/static/upload.mjs";
import { fake } from "./fakes.mjs";

const ACCEPT = [".jpg", ".png"];
const file = (name, text = "x") => new File([text], name);
const fileEntry = (own) => ({ name: own.name, isDirectory: false, file: (done) => done(own) });
/** A folder as browsers show it: its entries come in several readings. */
const folderEntry = (name, ...entries) =>
  fake({
    name,
    isDirectory: true,
    createReader: () => {
      const left = [...entries];
      return { readEntries: (done) => done(left.splice(0, 2)) };
    },
  });

test("a dropped folder stands for all that is in it and below, with its place", async () => {
  const deep = folderEntry("deep", fileEntry(file("d.PNG")));
  const folder = folderEntry(
    "photos",
    fileEntry(file("c.jpg")),
    fileEntry(file("notes.txt")),
    fileEntry(file("a.jpg")),
    deep,
    fileEntry(file(".DS_Store")),
  );
  const single = file("by itself.txt");
  const found = await filesIn([single, folder]);
  assert.deepEqual(found.map(pathOf), [
    "by itself.txt",
    "photos/a.jpg",
    "photos/c.jpg",
    "photos/deep/d.PNG",
    "photos/notes.txt",
  ]);
  assert.deepEqual(await filesIn([folderEntry("empty")]), []);
  const broken = fake({
    name: "x",
    isDirectory: true,
    createReader: () => ({ readEntries: (_done, failed) => failed(new Error("gone")) }),
  });
  await assert.rejects(filesIn([broken]), /gone/);
});

test("archives, annotations and label files beside images make an import", () => {
  const is = (...names) =>
    isImport(
      names.map((name) => file(name)),
      [".zip", ".json"],
      ACCEPT,
    );
  assert.equal(is("a.jpg", "b.png"), false);
  assert.equal(is("a.jpg", "readme.txt"), false);
  assert.equal(is("a.jpg", "A.txt"), true);
  assert.equal(is("a.jpg", "coco.JSON"), true);
  assert.equal(is("export.zip"), true);
  assert.equal(is("clip.mp4"), false);
});

test("files and folders are told apart while the drop is handled", () => {
  const [single, folder] = [file("a.jpg"), folderEntry("photos")];
  const items = [
    { kind: "file", webkitGetAsEntry: () => fileEntry(single), getAsFile: () => single },
    { kind: "file", webkitGetAsEntry: () => folder, getAsFile: () => file("photos") },
    { kind: "string" },
  ];
  assert.deepEqual(droppedOn(fake({ items, files: [] })), [single, folder]);
  assert.deepEqual(droppedOn(fake({ items: [], files: [single] })), [single]);
});

test("what cannot be added is not sent, and said", async () => {
  const rules = { accept: ACCEPT, maxBytes: 4 };
  assert.equal(refusal({ name: "A.JPG", size: 4 }, rules), "");
  assert.match(refusal({ name: "clip.mp4", size: 1 }, rules), /no image.*\.jpg, \.png/);
  assert.match(refusal({ name: "a.jpg", size: 5 * 2 ** 20 }, rules), /5 MB/);
  const sent = [];
  const uploader = createUploader({
    send: (message, [buffer]) =>
      sent.push([message.name, message.why, message.unreadable, buffer.byteLength]),
    failed: () => {},
    piece: 4,
    refusal: (one) => refusal(one, rules),
  });
  uploader.add([file("clip.mp4", "0123456789"), file("a.jpg", "0123")], "val");
  await new Promise((resolve) => setTimeout(resolve));
  uploader.acknowledged({ batch: 1 });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(sent, [
    ["clip.mp4", refusal({ name: "clip.mp4", size: 1 }, rules), true, 0],
    ["a.jpg", undefined, false, 4],
  ]);
});

test("how far the sending is goes over all that is waiting, and ends", async () => {
  const told = [];
  const uploader = createUploader({
    send: () => {},
    failed: () => {},
    piece: 4,
    progressed: (state) => told.push(state && Object.values(state)),
  });
  const step = async (batch) => {
    await new Promise((resolve) => setTimeout(resolve));
    uploader.acknowledged({ batch });
  };
  uploader.add([file("a.jpg", "01234567"), file("b.jpg", "0123")], "val");
  uploader.add([file("c.jpg", "0123")], "test");
  assert.equal(uploader.isBusy(), true);
  for (const batch of [1, 1, 1, 2]) await step(batch);
  assert.deepEqual(told, [
    [1, 2, "a.jpg", 0, "val"],
    [1, 3, "a.jpg", 0.25, "val"],
    [2, 3, "b.jpg", 0.5, "val"],
    [3, 3, "c.jpg", 0.75, "test"],
    null,
  ]);
  assert.equal(uploader.isBusy(), false);
  uploader.add([file("d.jpg", "0123")], "val");
  uploader.stop();
  assert.deepEqual(told.slice(-2), [[1, 1, "d.jpg", 0, "val"], null]);
});
