/**
 * The beginning of a text, to be kept: at most so many UTF-16 units, and no half of a surrogate pair at its end, which PostgreSQL takes into no
 * jsonb. What was half there is U+FFFD. Pure.
 */
export const beginningOf = (text: string, most: number): string => text.slice(0, most).toWellFormed();
