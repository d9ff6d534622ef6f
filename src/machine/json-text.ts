/**
 * Where a text stops being JSON (RFC 8259). `JSON.parse` says so in a way that differs from version to version, without
 * a line for some mistakes, and silently takes the last of two equal keys; a configuration must not lose one of them.
 *
 * The scanner accepts what `JSON.parse` accepts, but for equal keys in one object and for nesting beyond
 * `limits.CONFIG_DEPTH_MAX`. It makes no value.
 */
import { limits } from '../base/limits.js';

/** The first mistake in a text. */
export interface TextMistake {
  /** Index of the character where the mistake is; the length of the text at its end. */
  readonly at: number;
  /** What would have been right there. */
  readonly expected: string;
}

/** Line and column of a place in a text, from 1 on. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** The first mistake in `text`; null when it is JSON. */
export function mistakeInJson(text: string): TextMistake | null {
  return new JsonScanner(text).scan();
}

/** Where index `at` of `text` is; lines end with LF, CR LF or CR. */
export function textPlace(text: string, at: number): TextPlace {
  const lines = text.slice(0, at).split(/\r\n|\n|\r/);
  return { line: lines.length, column: lines.at(-1)!.length + 1 };
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WHITE = /[ \t\n\r]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const BACKSLASH = 0x5c;
const WORDS = ['true', 'false', 'null'];

/** Reads from left to right, and stops at the first mistake: each part answers whether it was right. */
class JsonScanner {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #mistake: TextMistake | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): TextMistake | null {
    this.#skipWhite();
    if (this.#value()) {
      this.#skipWhite();
      if (this.#at < this.#text.length) this.#fail('the end of the text');
    }
    return this.#mistake;
  }

  #value(): boolean {
    const first = this.#text[this.#at];
    if (first === '{') return this.#nested(() => this.#members('}', () => this.#object()));
    if (first === '[') return this.#nested(() => this.#members(']', () => this.#array()));
    if (first === '"') return this.#string() !== null;
    const word = WORDS.find((each) => this.#text.startsWith(each, this.#at));
    if (word !== undefined) this.#at += word.length;
    return word !== undefined || this.#match(NUMBER) || this.#fail('a value');
  }

  #nested(content: () => boolean): boolean {
    if (this.#depth === limits.CONFIG_DEPTH_MAX)
      return this.#fail(`at most ${limits.CONFIG_DEPTH_MAX} objects and arrays inside each other`);
    this.#depth += 1;
    const isRight = content();
    this.#depth -= 1;
    return isRight;
  }

  /** From the opening bracket to behind the closing one. */
  #members(close: string, content: () => boolean): boolean {
    this.#at += 1;
    this.#skipWhite();
    if (this.#take(close)) return true;
    return content() && (this.#take(close) || this.#fail(`"," or "${close}"`));
  }

  #array(): boolean {
    do {
      this.#skipWhite();
      if (!this.#value()) return false;
      this.#skipWhite();
    } while (this.#take(','));
    return true;
  }

  #object(): boolean {
    const keys = new Set<string>();
    do {
      this.#skipWhite();
      if (!this.#key(keys)) return false;
      this.#skipWhite();
      if (!this.#take(':')) return this.#fail('":"');
      this.#skipWhite();
      if (!this.#value()) return false;
      this.#skipWhite();
    } while (this.#take(','));
    return true;
  }

  #key(keys: Set<string>): boolean {
    const start = this.#at;
    if (this.#text[start] !== '"') return this.#fail('a key in double quotes');
    const key = this.#string();
    if (key === null) return false;
    if (keys.has(key)) {
      this.#at = start;
      return this.#fail('a key that its object does not have yet');
    }
    keys.add(key);
    return true;
  }

  /** Behind the closing quote; what the string says, or null. */
  #string(): string | null {
    const start = this.#at;
    this.#at += 1;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (this.#take('"')) return JSON.parse(this.#text.slice(start, this.#at)) as string;
      // Not a number at the end of the text.
      const isOpen = code >= 0x20;
      const isRight = isOpen && (code !== BACKSLASH || this.#match(ESCAPE));
      if (!isRight) {
        this.#fail(isOpen ? 'an escape such as \\n or \\u000a' : 'a closing quote');
        return null;
      }
      if (code !== BACKSLASH) this.#at += 1;
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #skipWhite(): void {
    this.#match(WHITE);
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #fail(expected: string): false {
    this.#mistake = { at: this.#at, expected };
    return false;
  }
}
