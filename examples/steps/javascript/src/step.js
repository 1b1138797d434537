// Writes a configuration file and makes its service use it.
import {
  array, boolean, byBytes, Command, integer, isStepError, log, object, record, Request, secrets, step, StepError, string,
  Target, timer,
} from "runner-sdk";

export default step({
  name: "config",
  version: "0.1.0",
  summary: "writes a configuration file and makes its service use it",
  params: object({
    file: string("The file to write: absolute."),
    settings: record(string(), "What it says: a line `name = value` each, in the order of the names."),
    check: array(string(), "A command that must accept the file, program first. Without, nothing is asked.").default([]),
    unit: string("The unit to restart when the file is different.").optional(),
    health: string("The URL that must answer 200 in the end, asked from the target.").optional(),
    token: string("The secret that the URL wants as a bearer token.").optional(),
    tries: integer("How often to ask.", { minimum: 1, maximum: 100 }).default(5),
  }),
  outputs: object({
    changed: boolean("Whether the file is different."),
    digest: string("Of the file."),
    tries: integer("How often the URL was asked.", { minimum: 0 }),
  }),
  ssh: ["read:${file}", "write:${file}", "exec-read:${check...}", "service:${unit} restart"],
  http: ["GET ${health} from target"],
  secrets: ["${token}"],

  run({ file, settings, check, unit, health, token, tries }) {
    const target = Target.current();
    const names = Object.keys(settings).sort(byBytes);
    log.info(`\`${file}\` on \`${target.name}\`: ${names.length} settings`);

    const text = names.map((name) => `${name} = ${settings[name]}\n`).join("");
    const changed = target.write(file, text, { mode: 0o644 });
    if (changed && check.length > 0) new Command(check, "read").run(target);
    if (changed && unit) target.service(unit, "restart");

    const tried = health ? waitUntilHealthy(target, health, token, tries) : 0;
    return { changed, digest: target.digest(file), tries: tried };
  },
});

function waitUntilHealthy(target, url, token, tries) {
  const request = Request.get(url).via(target).timeout(2000);
  if (token) request.header("authorization", secrets.get(token).wrap("Bearer "));

  let last = "";
  for (let tried = 1; tried <= tries; tried++) {
    log.progress(tried, tries, "tries");
    try {
      const { status } = request.send();
      if (status === 200) return tried;
      last = `status ${status}`;
    } catch (error) {
      if (!isStepError(error, "unreachable", "timeout")) throw error;
      last = error.message;
    }
    if (tried < tries) timer.sleep(100);
  }
  throw new StepError("timeout", `\`${url}\` did not answer 200 (after ${tries} tries)`, last);
}
