// The order of texts.

/** Compares texts by their bytes in UTF-8, for `sort`, which alone compares halves of characters. */
export function byBytes(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => Array.from(text, (letter) => letter.codePointAt(0) ?? 0));
  const at = left.findIndex((letter, index) => letter !== right[index]);
  return at < 0 ? left.length - right.length : left[at] - (right[at] ?? -1);
}
