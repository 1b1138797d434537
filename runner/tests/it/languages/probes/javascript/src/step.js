// Does what careless authors do.
import {
  array, artifacts, Command, integer, log, number, object, record, Request, secrets, step, StepError, string, Target,
  timer,
} from "runner-sdk";

const shape = object({ name: string("Its name."), size: integer("Its size.").default(1) });

export default step({
  name: "probe",
  version: "0.1.0",
  summary: "does what careless authors do",
  params: object({
    do: string("What to do."),
    big: integer("A number to give back.").default(1),
    unit: string("Nothing.").optional(),
    file: string("The file to write.").default("/srv/x"),
    by: record(shape, "Shapes.").default({}),
  }),
  outputs: object({
    said: string("A text."),
    count: integer("A number."),
    files: array(string(), "A list."),
    labels: record(string(), "A table."),
    previous: string("A text.").optional(),
    ratio: number("A number.").optional(),
  }),
  ssh: ["exec-read:true", "write:/srv/x"],
  http: ["GET http://probe.example.org/"],

  run(params) {
    return { said: "", count: 0, files: [], labels: {}, ...DOES[params.do](params) };
  },
});

const DOES = {
  handles() {
    for (let times = 0; times < 1100; times++) {
      const target = Target.current();
      new Command(["true"], "read").skipIf(new Command(["true"], "read")).run(target);
      new Command(["true"], "read").run(target);
      Request.get("http://probe.example.org/").send();
      target.name;
    }
    return { said: "held" };
  },
  cut() {
    log.info("gr\ud800");
    throw new StepError("timeout", "gr\ud800");
  },
  "cut-output": () => ({ said: "gr\ud800" }),
  nothing: () => ({}),
  nan: () => ({ ratio: NaN }),
  infinite: () => ({ ratio: Infinity }),
  big: ({ big }) => ({ count: big }),
  by: ({ by }) => ({ said: Object.keys(by).sort().map((name) => by[name].size).join(",") }),
  default({ file }) {
    Target.current().write(file, "x");
  },
  labels: () => ({ labels: { "gr\ud800": "\udfff" } }),

  // A check is what it was when it was given, also to itself; and what is given back is not held.
  again() {
    const check = new Command(["true"], "read").accept(3);
    const command = new Command(["true"], "read").skipIf(check);
    check.skipIf(check).accept(4);
    const skipped = [command, check].map((one) => one.run(Target.current()).skipped);
    for (let times = 0; times < 1100; times++) {
      Target.named(Target.current().name);
      artifacts.fromBytes("x").drop();
    }
    return { said: skipped.join(",") };
  },

  // Values of wrong types, each of which the host would end the step for.
  wrong() {
    const command = new Command(["true"], "read");
    const target = Target.current();
    const request = Request.get("http://probe.example.org/");
    const calls = [
      () => new Command("true", "read"),
      () => new Command(["true"], "reads"),
      () => command.env("PORT", 8080),
      () => command.accept(-1),
      () => command.skipIf("true"),
      () => command.undoWith(request),
      () => command.run("web-1"),
      () => request.header("accept", null),
      () => request.via(null),
      () => target.write("/srv/x", "gr\ud800"),
      () => target.write("/srv/x", "x", { mode: "0644" }),
      () => target.unpack("/srv/x", "sha256:0"),
      () => target.service("x", "begin"),
      () => artifacts.fromBytes(7),
      () => secrets.get(1),
      () => timer.sleep(-1),
    ];
    return { files: calls.map(refused) };
  },

  // From text, and as text.
  artifact() {
    const text = "grün: 한, 😀\u0000\n";
    const artifact = artifacts.fromBytes(text);
    const said = artifact.text();
    const count = artifact.size;
    artifact.drop();
    const cut = artifacts.fromBytes(new Uint8Array([0x67, 0xc3]));
    return { said, count, files: [refused(() => artifact.size), refused(() => cut.text())] };
  },
};

function refused(call) {
  try {
    call();
    return "done";
  } catch (error) {
    return error instanceof StepError ? `${error.kind}: ${error.message}` : `bug: ${error}`;
  }
}
