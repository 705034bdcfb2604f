/** Files and folders that are dropped on the gallery, and which of them can be images. */

/** @param {string} name @param {string[]} accept extensions with the dot */
export function hasExtension(name, accept) {
  return accept.some((extension) => name.toLowerCase().endsWith(extension));
}

/**
 * Why a file cannot be added; empty if it may be one. So nobody waits while a long video is sent.
 * @param {{name: string, size: number}} file
 * @param {{accept: string[], maxBytes: number}} rules
 */
export function refusal(file, { accept, maxBytes }) {
  if (!hasExtension(file.name, accept))
    return `is no image that can be added (${accept.join(", ")})`;
  if (file.size > maxBytes)
    return `has ${Math.round(file.size / 2 ** 20).toLocaleString("en")} MB, more than an image may have`;
  return "";
}

/**
 * @param {File|FileSystemEntry|null|undefined} dropped
 * @returns {dropped is FileSystemDirectoryEntry}
 */
function isFolder(dropped) {
  return Boolean(dropped && "isDirectory" in dropped && dropped.isDirectory);
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/**
 * What was dropped; to be called while the event is handled, later the browser forgets it.
 * @param {DataTransfer} transfer
 * @returns {(File|FileSystemDirectoryEntry)[]}
 */
export function droppedOn(transfer) {
  const items = [...(transfer.items ?? [])].filter((item) => item.kind === "file");
  if (items.length === 0) return [...transfer.files];
  return items.flatMap((item) => {
    const entry = item.webkitGetAsEntry?.();
    const file = isFolder(entry) ? entry : item.getAsFile();
    return file ? [file] : [];
  });
}

/** Where files lay that were dropped with their folder. @type {WeakMap<File, string>} */
const PATHS = new WeakMap();

/** A file's name, with the folders that were dropped or chosen with it. @param {File} file */
export function pathOf(file) {
  return PATHS.get(file) ?? (file.webkitRelativePath || file.name);
}

/** Litter of file managers: of no use to anybody. @param {string} name */
function isLitter(name) {
  return name.startsWith(".") || name === "Thumbs.db" || name === "desktop.ini";
}

/** @param {string} name */
const stemOf = (name) => name.slice(0, name.lastIndexOf(".")).toLowerCase();

/**
 * Whether files are more than images: an archive, annotations, or label files beside images.
 * @param {File[]} files @param {string[]} imports @param {string[]} accept extensions with the dot
 */
export function isImport(files, imports, accept) {
  if (files.some((file) => hasExtension(file.name, imports))) return true;
  const images = files.filter((file) => hasExtension(file.name, accept));
  const stems = new Set(images.map((file) => stemOf(file.name)));
  return files.some((file) => hasExtension(file.name, [".txt"]) && stems.has(stemOf(file.name)));
}

/**
 * The files, and all that is in folders and below, by name.
 * @param {(File|FileSystemDirectoryEntry)[]} dropped
 * @returns {Promise<File[]>}
 */
export async function filesIn(dropped) {
  /** @type {File[]} */
  const found = [];
  for (const one of dropped) {
    if (isFolder(one)) found.push(...(await filesBelow(one, one.name)));
    else found.push(one);
  }
  return found;
}

/** @param {FileSystemDirectoryEntry} folder @param {string} path @returns {Promise<File[]>} */
async function filesBelow(folder, path) {
  const found = [];
  const entries = await entriesOf(folder);
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (isLitter(entry.name)) continue;
    const own = `${path}/${entry.name}`;
    if (isFolder(entry)) found.push(...(await filesBelow(entry, own)));
    else {
      const file = await fileOf(/** @type {FileSystemFileEntry} */ (entry));
      PATHS.set(file, own);
      found.push(file);
    }
  }
  return found;
}

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<FileSystemEntry[]>} */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    // Browsers give a hundred at a time, and nothing once there are no more.
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
