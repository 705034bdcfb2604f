/** Typing the beginning of an item of a menu. */

/** Milliseconds: keys that follow each other within this time make one word. */
const WORD_MS = 900;

/**
 * Finds items of a menu by what is typed: one letter again and again goes from one to the
 * next that begins with it, several letters in a row go to the first that begins with them.
 * @param {() => number} now milliseconds
 */
export function createTypeAhead(now = () => performance.now()) {
  let typed = "";
  let last = -Infinity;
  return {
    /** Whether a word is being typed, so that a space belongs to it. */
    isTyping: () => typed !== "" && now() - last < WORD_MS,
    /** @param {string} letter @param {string[]} texts @param {number} at @returns {number} -1 for none */
    find(letter, texts, at) {
      typed = now() - last < WORD_MS ? typed + letter.toLowerCase() : letter.toLowerCase();
      last = now();
      const isOneLetter = [...typed].every((other) => other === typed[0]);
      const word = isOneLetter ? typed[0] : typed;
      /** @param {number} index */
      const begins = (index) => texts[index].toLowerCase().startsWith(word);
      const order = texts.map(
        (_, index) => (at + (isOneLetter ? 1 : 0) + index + texts.length) % texts.length,
      );
      return order.find(begins) ?? -1;
    },
  };
}
