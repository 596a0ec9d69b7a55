// What a board's program holds on a 32-bit WebAssembly build, phase after phase of its life.
// node held.mjs RELEASE FOLDER MORE: prints a line of JSON, [[phase, bytes], …]; MORE bytes are held
// besides. Each phase is a call, for the collector runs only between calls.

import { print, start } from "./build.mjs";

const [release, folder, more] = process.argv.slice(2);
const shown = [];

await print(async () => {
  const { run, held, get } = await start(release, folder, (line) => shown.push(line));
  run("import app, life");
  const before = held();
  run(`life.more = bytearray(${more})`);
  run("_names = ' '.join([phase.__name__ for phase in life.PHASES])");
  const phases = [];
  for (const [number, name] of get("_names").split(" ").entries()) {
    run(`life.PHASES[${number}]()`);
    phases.push([name, held() - before]);
  }
  return phases;
}, shown);
