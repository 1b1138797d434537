// Puts a message into a file.
#include "runner.h"

// What a plan gives it: `with = { message = "…", file = "…" }`.
struct params {
  const char *message, *file;
};

static const field PARAMS[] = {
    FIELD(struct params, message, "What to say."),
    FIELD(struct params, file, "The file to say it in: absolute."),
};

// What later steps may refer to.
struct outputs {
  bool changed;
};

static const field OUTPUTS[] = {
    FIELD(struct outputs, changed, "Whether the file is different now."),
};

static bool run(const struct params *params, struct outputs *outputs, error *err) {
  target on = target_current();
  const char *line = text("%s, says %s\n", params->message, target_name(on));
  if (!target_write(on, params->file, line, MODE(0644), &outputs->changed, err)) return false;
  if (outputs->changed) log_info("wrote `%s`", params->file);
  return true;
}

// `ssh` is what the step may touch, in terms of its parameters. All else is denied.
STEP(struct params, struct outputs, PARAMS, OUTPUTS, run,
     .name = "{{name}}",
     .version = "0.1.0",
     .summary = "puts a message into a file",
     .ssh = LIST("write:${file}"))
