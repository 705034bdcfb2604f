/** The text of a query, as the filter bar edits it. The kernel is what understands it. */

export const SORTS = [
  ["", "Name"],
  ["sort:-name", "Name, Z first"],
  ["sort:-date", "Newest first"],
  ["sort:date", "Oldest first"],
  ["sort:-size", "Largest file first"],
  ["sort:size", "Smallest file first"],
  ["sort:-boxes", "Most boxes first"],
  ["sort:boxes", "Fewest boxes first"],
  ["sort:area", "Small boxes first"],
  ["sort:-area", "Large boxes first"],
  ["sort:similarity", "Alike together"],
];
const SORT = /(^|\s)sort:(\S*)(?=\s|$)/gi;

/** The order that a query asks for, `""` for none. @param {string} text */
export function sortOf(text) {
  const found = [...text.matchAll(SORT)].at(-1);
  return found ? `sort:${found[2].toLowerCase()}` : "";
}

/** The query with another order. @param {string} text @param {string} sort one of SORTS */
export function withSort(text, sort) {
  const rest = text.replace(SORT, "$1").replace(/\s+/g, " ").trim();
  return [rest, sort].filter(Boolean).join(" ");
}

/**
 * The text and the cursor after a completion was taken.
 * @param {string} text @param {{insert: string, start: number, end: number}} completion
 */
export function completed(text, { insert, start, end }) {
  const before = text.slice(0, start) + insert;
  const after = text.slice(end);
  const isOpen = /[:<>=]$/.test(insert) || after.startsWith(" ");
  return { text: before + (isOpen ? "" : " ") + after, cursor: before.length + (isOpen ? 0 : 1) };
}
