// The order of texts, and their bytes: QuickJS has no `TextEncoder`.

/** Compares texts by their bytes in UTF-8, for `sort`, which alone compares halves of characters. */
export function byBytes(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => Array.from(text, (letter) => letter.codePointAt(0) ?? 0));
  const at = left.findIndex((letter, index) => letter !== right[index]);
  return at < 0 ? left.length - right.length : left[at] - (right[at] ?? -1);
}

// `escape` and `unescape` take each letter for a byte. All of this is native: a loop over 16 MiB is more than a step may do.

/** Text that is Unicode, in UTF-8. */
export const encoded = (text: string): Uint8Array =>
  Uint8Array.fromBase64(btoa(unescape(encodeURIComponent(text))));

/** The text that has these bytes in UTF-8; `null` where none has. */
export function decoded(bytes: Uint8Array): string | null {
  try {
    return decodeURIComponent(escape(atob(bytes.toBase64())));
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}
