/** The text of a query, as the filter bar edits it. The kernel is what understands it. */

/** @type {[string, string][]} */
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
const SORT = /(^|\s)sort\s*(?::|==?)\s*(\S*)(?=\s|$)/gi;

/** The order that a query asks for, `""` for none. @param {string} text */
export function sortOf(text) {
  const found = [...text.matchAll(SORT)].at(-1);
  return found ? `sort:${found[2].toLowerCase()}` : "";
}

/** The query with another order. @param {string} text @param {string} sort one of SORTS */
export function withSort(text, sort) {
  const rest = text.replace(SORT, "").trim();
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

/**
 * Tells whose query is shown: the answers to what was asked for here come one after the other
 * and late, and none of them may take the place of what is being typed meanwhile.
 */
export function createQueryTrack() {
  let shown = "";
  /** And not shown yet, oldest first. @type {string[]} */
  let asked = [];
  const last = () => asked.at(-1) ?? shown;
  return {
    /** Note what is asked for. @param {string} text @returns {boolean} whether it is news */
    ask(text) {
      if (text === last()) return false;
      asked.push(text);
      return true;
    },
    /**
     * The kernel shows this now.
     * @param {string} query @param {string} typed what is in the field
     * @returns {boolean} whether it came from elsewhere and belongs into the field
     */
    isForeign(query, typed) {
      const at = asked.indexOf(query);
      if (at >= 0) asked = asked.slice(at + 1);
      const isNew = at < 0 && query !== shown;
      const isIdle = typed === last();
      shown = query;
      if (isNew && isIdle) asked = [];
      return isNew && isIdle;
    },
  };
}

/**
 * A completion for a text in which more of the same word was typed since it was asked for.
 * @template {{start: number, end: number}} Completion
 * @param {Completion} completion @param {string} before @param {string} now
 */
export function grown(completion, before, now) {
  const end = completion.end + now.length - before.length;
  return { ...completion, end: Math.max(completion.start, Math.min(end, now.length)) };
}
