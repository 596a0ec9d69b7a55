// What each module adds to the heap of a 32-bit WebAssembly build when it is imported.
// node imports.mjs RELEASE FOLDER JSON: JSON is a list of lists of modules; prints, for each list,
// the bytes that the import of each of its modules adds, garbage collected.

import { print, start } from "./build.mjs";

const [release, folder, lists] = process.argv.slice(2);

await print(async () => {
  const sizes = [];
  for (const modules of JSON.parse(lists)) {
    const { run, held } = await start(release, folder, () => {});
    run("import microdps");
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
  return sizes;
});
