// What each module adds to the heap of a 32-bit WebAssembly build when it is imported.
// node imports.mjs RELEASE FOLDER JSON: JSON is a list of lists of modules; prints, for each list,
// the bytes that the import of each of its modules adds, garbage collected.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const [release, folder, lists] = process.argv.slice(2);

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
  const sizes = [];
  for (const modules of JSON.parse(lists)) {
    const micropython = await loadMicroPython({ heapsize: 1024 * 1024, stdout: () => {} });
    copy(micropython.FS, folder, "/");
    const run = (code) => micropython.runPython(code);
    const held = () => {
      run("gc.collect()");
      run("_held = gc.mem_alloc()");
      return micropython.globals.get("_held");
    };
    run('import gc, sys\nsys.path[:] = ["/program/a", "", "/tests"]');
    run("import world\nworld.install()\nimport microdps");
    let before = held();
    const added = [];
    for (const name of modules) {
      run(`__import__("microdps.${name}")`);
      const after = held();
      added.push(after - before);
      before = after;
    }
    sizes.push(added);
  }
  console.log(JSON.stringify(sizes));
} catch (error) {
  console.error(error.message); // a stack trace would show the whole of micropython.mjs
  process.exit(1);
}
