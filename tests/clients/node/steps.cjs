// Shared by the clients: say how each step went.

const TIMEOUT_MS = 20000;

/** Do steps, [name, async function] each, in their order. What fails does not stop the next ones. */
exports.run = async (steps) => {
  for (const [name, step] of steps) {
    try {
      await exports.inTime(step());
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`fail ${name}: ${error.name}: ${error.message}`.replace(/\s+/g, " ").slice(0, 200));
    }
  }
  process.exit(0); // some clients leave timers behind
};

/** A promise that fails if another one takes too long. */
exports.inTime = (promise) =>
  Promise.race([
    promise,
    new Promise((_, fail) => setTimeout(() => fail(new Error("not in time")), TIMEOUT_MS)),
  ]);

/** Make an admin call → its answer. */
exports.admin = async (method, call, body) => {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${process.env.SIMULATOR_PAGE}admin/${call}`, { method, headers, body: JSON.stringify(body) });
  return answer.json();
};

exports.check = (condition, text = "unexpected") => {
  if (!condition) throw new Error(text);
};
