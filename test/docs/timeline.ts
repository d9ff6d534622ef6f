/**
 * The timeline command: prints, in Markdown, what docs/timelines.md has between its marks.
 */
import { timelines } from './timelines.js';

for (const { name, text } of await timelines()) process.stdout.write(`${name}\n\n${text}\n\n`);
