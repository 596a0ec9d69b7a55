// What a board's program holds on a 32-bit WebAssembly build, phase after phase of its life.
// node held.mjs RELEASE FOLDER MORE LAYOUT …: prints a line of JSON, [[phase, bytes], …]; MORE bytes
// are held besides. Each LAYOUT is a life of its own, in which so many bytes move all others; the
// least of all lives counts (guard.py says why). Each phase is a call, for the collector runs only
// between calls.

import { print, start } from "./build.mjs";

const [release, folder, more, ...layouts] = process.argv.slice(2);
const shown = [];

await print(async () => {
  let least;
  for (const layout of layouts.map(Number)) {
    const { run, held, get } = await start(release, folder, (line) => shown.push(line));
    run(`import app, life\nlife.layout = bytearray(${layout})`);
    const before = held();
    run(`life.more = bytearray(${more})`);
    run("_names = ' '.join([phase.__name__ for phase in life.PHASES])");
    const phases = [];
    for (const [number, name] of get("_names").split(" ").entries()) {
      run(`life.PHASES[${number}]()`);
      phases.push([name, held() - before]);
    }
    least = least ? least.map(([name, size], at) => [name, Math.min(size, phases[at][1])]) : phases;
  }
  return least;
}, shown);
