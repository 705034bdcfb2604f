/**
 * A stand-in that has as much of something as a test needs, for `tsc`.
 * @param {any} part @returns {any}
 */
export const fake = (part) => part;
