// JSON of others, field by field: a field that is not what it has to be is `undefined`, never something else.

/** An object of unknown fields. */
export type Fields = Readonly<Record<string, unknown>>;

/** The object that a JSON text holds, or nothing. */
export function parseObject(text: string): Fields | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The value, if it is an object with fields. */
export function asObject(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** A field that is text. */
export function text(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}

/** A field that is a whole number from zero, exactly representable. */
export function whole(fields: Fields, name: string): number | undefined {
  const value = fields[name];
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** What a reader makes of a text, or nothing where it throws. */
export function read<T>(reader: (text: string) => T, value: string | undefined): T | undefined {
  if (value === undefined) return undefined;
  try {
    return reader(value);
  } catch {
    return undefined;
  }
}
