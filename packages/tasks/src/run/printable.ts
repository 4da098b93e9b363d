/** Texts from files that may be hostile, as they may be shown: in messages, and so on terminals. */

/** Characters that are shown of one text. */
const MAX_SHOWN = 200;

/** Control characters, and those that change the direction of text or end a line. */
const UNPRINTABLE = /[\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]/g;

/** The text, of limited length and without characters that a terminal would obey. */
export function printable(text: string): string {
  const short = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
  return short.replaceAll(
    UNPRINTABLE,
    (character) => String.raw`\u` + character.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}

/** Printable, in quotation marks. */
export function quoted(text: string): string {
  return `'${printable(text)}'`;
}
