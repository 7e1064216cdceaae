/** With a full stop, unless it ends like a sentence already: what people wrote stands in front of other sentences. */
export const sentence = (text: string): string =>
  /[.!?]$/.test(text.trim()) ? text.trim() : `${text.trim()}.`;
