// A step of one's own: puts a message where people who log in see it.
import { boolean, log, object, step, string, Target } from "runner-sdk";

export default step({
  name: "{{name}}",
  version: "0.1.0",
  summary: "puts a message where people who log in see it",
  params: object({
    message: string("What to say."),
    file: string("The file to say it in."),
  }),
  outputs: object({
    changed: boolean("Whether the file is different now."),
  }),
  ssh: ["write:${file}"],

  run({ message, file }) {
    const target = Target.current();
    const changed = target.write(file, `${message}, says ${target.name}\n`, { mode: 0o644 });
    if (changed) log.info(`wrote \`${file}\``);
    return { changed };
  },
});
