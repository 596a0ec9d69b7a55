// A 32-bit WebAssembly build of MicroPython with a board's files.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const HEAP = 1024 * 1024;

function copy(FS, from, to) {
  FS.mkdirTree(to);
  for (const name of readdirSync(from)) {
    const path = join(from, name);
    if (statSync(path).isDirectory()) copy(FS, path, join(to, name));
    else FS.writeFile(join(to, name), readFileSync(path));
  }
}

// Start a release with the files of a folder → {run, held, get}: run Python; the bytes that are held,
// garbage collected; the value of a global. The collector runs only between calls from JavaScript,
// so held() needs two. stdout: a function that gets each line.
export async function start(release, folder, stdout) {
  const { loadMicroPython } = await import(
    `../versions/node_modules/micropython-${release}/micropython.mjs`
  );
  const micropython = await loadMicroPython({ heapsize: HEAP, stdout });
  copy(micropython.FS, folder, "/");
  micropython.FS.chdir("/");
  const run = (code) => micropython.runPython(code);
  const get = (name) => micropython.globals.get(name);
  const held = () => {
    run("gc.collect()");
    run("_held = gc.mem_alloc()");
    return get("_held");
  };
  run('import gc, sys\nsys.path[:] = ["/program/a", "", "/tests"]');
  run("import world\nworld.install()");
  return { run, held, get };
}

// Print what a function returns as a line of JSON; if it fails, why, and end with 1.
export async function print(work, shown = []) {
  try {
    console.log(JSON.stringify(await work()));
  } catch (error) {
    console.error(shown.slice(-20).join("\n"));
    console.error(error.message); // a stack trace would show the whole of micropython.mjs
    process.exit(1);
  }
}
