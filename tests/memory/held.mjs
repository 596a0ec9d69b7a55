// What a board's program holds on a 32-bit WebAssembly build, phase after phase of its life.
// node held.mjs RELEASE FOLDER MORE: prints a line of JSON, {phase: bytes}; MORE bytes are held
// besides. The collector runs only between calls from JavaScript, so each phase is a call.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const [release, folder, more] = process.argv.slice(2);
const shown = [];

function copy(FS, from, to) {
  FS.mkdirTree(to);
  for (const name of readdirSync(from)) {
    const path = join(from, name);
    if (statSync(path).isDirectory()) copy(FS, path, join(to, name));
    else FS.writeFile(join(to, name), readFileSync(path));
  }
}

try {
  const { loadMicroPython } = await import(
    `../versions/node_modules/micropython-${release}/micropython.mjs`
  );
  const micropython = await loadMicroPython({
    heapsize: 1024 * 1024,
    stdout: (line) => shown.push(line),
  });
  copy(micropython.FS, folder, "/");
  micropython.FS.chdir("/");
  const run = (code) => micropython.runPython(code);
  const held = () => {
    run("gc.collect()");
    run("_held = gc.mem_alloc()");
    return micropython.globals.get("_held");
  };
  run('import gc, sys\nsys.path[:] = ["/program/a", "", "/tests"]');
  run("import world\nworld.install()\nimport app, life");
  const before = held();
  run(`life.more = bytearray(${more})`);
  run("_names = ' '.join([phase.__name__ for phase in life.PHASES])");
  const phases = [];
  for (const [number, name] of micropython.globals.get("_names").split(" ").entries()) {
    run(`life.PHASES[${number}]()`);
    phases.push([name, held() - before]);
  }
  console.log(JSON.stringify(phases));
} catch (error) {
  console.error(shown.slice(-20).join("\n"));
  console.error(error.message); // a stack trace would show the whole of micropython.mjs
  process.exit(1);
}
