// Does what a careless author would, as `do` says, to show what comes of it.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

struct params {
  const char *what, *unit, *file;
  int64_t big;
};

static const field PARAMS[] = {
    // `do` is a word of C.
    {.name = "do", .offset = offsetof(struct params, what), .kind = A_TEXT, .doc = "What to do."},
    FIELD(struct params, big, "A number.", .fallback = "1"),
    FIELD(struct params, unit, "What has no default.", OPTIONAL),
    FIELD(struct params, file, "A file to write.", OPTIONAL, .fallback = "\"/srv/x\""),
};

struct outputs {
  const char *said;
  int64_t count;
  list files;
  table labels;
  const char *previous;
  const double *ratio;
};

static const field OUTPUTS[] = {
    FIELD(struct outputs, said, "Text."),
    FIELD(struct outputs, count, "A number."),
    FIELD(struct outputs, files, "A list."),
    FIELD(struct outputs, labels, "A table."),
    FIELD(struct outputs, previous, "Text that may be left out.", OPTIONAL),
    FIELD(struct outputs, ratio, "A number that may be left out."),
};

static const char *cut(void) { return text("%.3s", "grün"); }

static bool handles(struct outputs *outputs, error *err) {
  for (int i = 0; i < 1100; i++) {
    if (!command_run(&(command){.argv = LIST("true"), .effect = READ}, target_current(), NULL, err)) return false;
    if (!request_send(&(request){.url = "http://probe.example.org/"}, NULL, err)) return false;
    target_name(target_current());
    artifact made;
    if (!artifact_from_bytes("x", 1, &made, err)) return false;
    artifact_drop(made);
    target named;
    if (!target_named(target_name(target_current()), &named, err)) return false;
    target_drop(named);
  }
  target_drop(target_current());
  return outputs->said = *target_name(target_current()) ? "held" : "lost", true;
}

// Reads a megabyte again and again.
static bool reads(const struct params *params, bool frees, error *err) {
  char *most = alloc(1000000);
  memset(most, 'x', 999999);
  if (!target_write(target_current(), params->file, most, KEEP, NULL, err)) return false;
  for (int64_t i = 0; i < params->big; i++) {
    const char *content;
    if (!target_read(target_current(), params->file, &content, err)) return false;
    if (content[999998] != 'x' || content[999999]) return fail(err, CONFLICT, "", "what was read is not what was written");
    if (frees) free((void *)content);
  }
  return true;
}

static bool run(const struct params *params, struct outputs *outputs, error *err) {
  static const double nan = NAN, infinite = INFINITY;
  const char *what = params->what;
  if (!strcmp(what, "handles")) return handles(outputs, err);
  if (!strcmp(what, "cut")) return log_info("%s", cut()), fail(err, TIMEOUT, cut(), "%s", cut());
  if (!strcmp(what, "cut-output")) return outputs->said = cut(), true;
  if (!strcmp(what, "nothing")) return true;
  if (!strcmp(what, "nan")) return outputs->ratio = &nan, true;
  if (!strcmp(what, "infinite")) return outputs->ratio = &infinite, true;
  if (!strcmp(what, "big")) return outputs->count = params->big, true;
  if (!strcmp(what, "default")) return target_write(target_current(), params->file, "x", KEEP, NULL, err);
  if (!strcmp(what, "write-null")) return target_write(target_current(), "/srv/x", params->unit, KEEP, NULL, err);
  if (!strcmp(what, "env-null")) {
    const command sets = {.argv = LIST("true"), .effect = READ, .env = (variable[]){{"UNIT", params->unit, NULL}, {0}}};
    return command_run(&sets, target_current(), NULL, err);
  }
  if (!strcmp(what, "list-null")) return outputs->files = (list){(const char *[]){"a", NULL}, 2}, true;
  if (!strcmp(what, "mute")) return false;
  if (!strcmp(what, "reads")) return reads(params, false, err);
  if (!strcmp(what, "frees")) return reads(params, true, err);
  return fail(err, INVALID, "", "`do` cannot be `%s`", what);
}

STEP(struct params, struct outputs, PARAMS, OUTPUTS, run,
     .name = "probe",
     .version = "0.1.0",
     .summary = "does what a careless author would",
     .ssh = LIST("exec-read:true", "read:${file}", "write:${file}"),
     .http = LIST("GET http://probe.example.org/"))
