// Runs the unit tests on MicroPython's 32-bit WebAssembly builds, one release after the other.
// node run.mjs RELEASE ...; exits with 1 if a test failed, or none ran, on any of them.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const checkout = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

function copy(FS, folder) {
  FS.mkdirTree("/" + folder);
  for (const name of readdirSync(join(checkout, folder))) {
    const path = join(folder, name);
    if (statSync(join(checkout, path)).isDirectory()) copy(FS, path);
    else if (/\.(py|txt)$/.test(name)) FS.writeFile("/" + path, readFileSync(join(checkout, path)));
  }
}

let failed = false;
for (const release of process.argv.slice(2)) {
  const { loadMicroPython } = await import(`micropython-${release}/micropython.mjs`);
  const micropython = await loadMicroPython({ heapsize: 512 * 1024, linebuffer: true });
  console.log(`MicroPython ${release}`);
  copy(micropython.FS, "firmware");
  copy(micropython.FS, "tests/unit");
  try {
    micropython.runPython(`
import sys
assert sys.implementation.version[:3] == tuple(map(int, "${release}".split(".")))
assert sys.maxsize == 2 ** 31 - 1
try:
    exec(open("/tests/unit/run.py").read(), {"__name__": "__main__", "__file__": "/tests/unit/run.py"})
except SystemExit as stop:
    code = stop.args[0]
`);
  } catch (error) {
    console.error(error.message); // a stack trace would show the whole of micropython.mjs
    process.exit(1);
  }
  failed ||= micropython.globals.get("code") !== 0;
}
process.exit(process.argv.length > 2 && !failed ? 0 : 1);
