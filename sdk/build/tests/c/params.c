// Tests of sdk/c/params.c, on this machine: what a step is given and what it answers, and what is refused.
#include "params.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What params.c needs of runner.c, which needs a host.
static char failure[256];

void *alloc(size_t size) { return calloc(1, size ? size : 1); }

const char *text(const char *format, ...) {
  char *made = alloc(1024);
  va_list words;
  va_start(words, format);
  vsnprintf(made, 1024, format, words);
  va_end(words);
  return made;
}

bool fail(error *err, error_kind kind, const char *detail, const char *message, ...) {
  (void)err, (void)detail;
  assert(kind == INVALID || kind == OTHER);
  va_list words;
  va_start(words, message);
  vsnprintf(failure, sizeof failure, message, words);
  va_end(words);
  return false;
}

struct params {
  const char *name, *unit;
  table settings;
  list check;
  uint32_t tries;
  int64_t offset;
  double part;
  bool dry_run;
  json more;
  const double *share;
  const uint32_t *port;
  const bool *quiet;
};

static const field PARAMS[] = {
    FIELD(struct params, name, "A \"name\".", .pattern = "^[a-z\\\\]+$"),
    FIELD(struct params, unit, "A unit.", OPTIONAL, .choices = LIST("a", "b")),
    FIELD(struct params, settings, NULL, OPTIONAL),
    FIELD(struct params, check, NULL, .fallback = "[\"x\"]"),
    FIELD(struct params, tries, NULL, .fallback = "5", .minimum = "1"),
    FIELD(struct params, offset, NULL, OPTIONAL),
    FIELD(struct params, part, NULL, OPTIONAL),
    FIELD(struct params, dry_run, NULL, .fallback = "true"),
    FIELD(struct params, more, NULL, OPTIONAL, .schema = "{ \"type\": [\"object\", \"string\"] }"),
    FIELD(struct params, share, NULL),
    FIELD(struct params, port, NULL, .fallback = "80"),
    FIELD(struct params, quiet, NULL),
};

static const step STEP_OF = {
    .name = "x", .version = "1", .summary = "s", .params = PARAMS, .outputs = PARAMS,
    .params_count = sizeof PARAMS / sizeof *PARAMS, .outputs_count = sizeof PARAMS / sizeof *PARAMS,
};

static struct params given(const char *document) {
  struct params params = {0};
  error err;
  if (!read_params(&STEP_OF, document, strlen(document), &params, &err)) printf("%s\n", failure), abort();
  return params;
}

static void refused(const char *document, const char *why) {
  struct params params = {0};
  error err;
  assert(!read_params(&STEP_OF, document, strlen(document), &params, &err));
  if (strcmp(failure, why)) printf("%s\ninstead of\n%s\n", failure, why), abort();
}

static const char *written(const struct params *params) {
  error err;
  return write_outputs(&STEP_OF, params, &err);
}

static void unwritten(struct params params, const char *why) {
  assert(!written(&params));
  if (strcmp(failure, why)) printf("%s\ninstead of\n%s\n", failure, why), abort();
}

static void mended(const char *words, const char *into) {
  if (strcmp(well_formed(words), into)) printf("%s\ninstead of\n%s\n", well_formed(words), into), abort();
}

int main(void) {
  struct params least = given("{\"name\":\"n\"}");
  assert(!least.unit && !least.settings.count && !least.more.json && least.dry_run && least.tries == 5);
  assert(!least.share && !least.quiet && *least.port == 80);
  assert(least.check.count == 1 && !strcmp(least.check.items[0], "x") && !least.check.items[1]);

  struct params all = given(
      "{ \"name\": \"\\u00e4\\ud83d\\ude00\\n\\\"\\\\\\/\", \"unit\": \"\", \"settings\": {\"z\": \"1\", \"\\u00e4\": \"2\", \"Z\": \"3\"},"
      " \"check\": [\"a\", \"b c\"], \"tries\": 4294967295, \"offset\": -9223372036854775808, \"part\": -1.5e2,"
      " \"dry-run\": false, \"more\": {\"a\": [1, {\"b\": \"c\"}]}, \"share\": 0, \"port\": 4294967295, \"quiet\": false }");
  assert(!strcmp(all.name, "ä😀\n\"\\/") && !strcmp(all.unit, ""));
  assert(all.settings.count == 3 && !strcmp(all.settings.items[0].name, "Z") && !strcmp(all.settings.items[2].value, "2"));
  assert(all.check.count == 2 && !strcmp(all.check.items[1], "b c"));
  assert(!*all.share && *all.port == UINT32_MAX && !*all.quiet);
  assert(all.tries == UINT32_MAX && all.offset == INT64_MIN && all.part == -150 && !all.dry_run);
  assert(!strcmp(all.more.json, "{\"a\": [1, {\"b\": \"c\"}]}"));
  assert(!strcmp(given("{\"name\":\"n\",\"more\":\"t\\n\"}").more.json, "\"t\\n\""));

  refused("", "parameters: not an object of JSON");
  refused("{\"name\":", "parameters: not an object of JSON");
  refused("[]", "parameters: not an object of JSON");
  refused("{}", "parameters: `name` is missing");
  refused("{\"name\":\"a\\u0000b\"}", "parameters: `name` has a NUL in it, which text of a step in C cannot have");
  refused("{\"name\":7}", "parameters: `name` must be text");
  refused("{\"name\":\"n\",\"naem\":1}", "parameters: `naem` is not known");
  refused("{\"name\":\"n\",\"check\":\"a\"}", "parameters: `check` must be a list");
  refused("{\"name\":\"n\",\"check\":[\"a\",1]}", "parameters: `check` must be text");
  refused("{\"name\":\"n\",\"settings\":[]}", "parameters: `settings` must be a table");
  refused("{\"name\":\"n\",\"tries\":-1}", "parameters: `tries` must be from 0 to 4294967295");
  refused("{\"name\":\"n\",\"tries\":4294967296}", "parameters: `tries` must be from 0 to 4294967295");
  refused("{\"name\":\"n\",\"tries\":1.5}", "parameters: `tries` must be a whole number");
  refused("{\"name\":\"n\",\"tries\":\"1\"}", "parameters: `tries` must be a whole number");
  refused("{\"name\":\"n\",\"offset\":9223372036854775808}", "parameters: `offset` must be a whole number");
  refused("{\"name\":\"n\",\"dry-run\":\"true\"}", "parameters: `dry-run` must be true or false");

  // What was read is written, and read again it is the same.
  struct params again = given(written(&all));
  assert(!strcmp(again.name, all.name) && again.offset == all.offset && again.part == all.part);
  assert(!strcmp(written(&again), written(&all)));
  assert(strstr(written(&all), "\"share\":0,\"port\":4294967295,\"quiet\":false}"));
  assert(!strstr(written(&least), "unit") && !strstr(written(&least), "share"));

  // What cannot be written is told by name.
  const double numbers[] = {NAN, INFINITY, -INFINITY};
  for (size_t i = 0; i < 3; i++) {
    unwritten((struct params){.part = numbers[i]}, "outputs: `part` is not a finite number");
    unwritten((struct params){.share = &numbers[i]}, "outputs: `share` is not a finite number");
  }
  unwritten((struct params){.check = {(const char *[]){"a", NULL}, 2}}, "outputs: `check` has a text that is NULL");
  unwritten((struct params){.settings = {(pair[]){{"a", NULL}}, 1}}, "outputs: `settings` has a text that is NULL");

  // What is not UTF-8 is replaced, and each letter that was cut is so once.
  mended("", "");
  mended("grün 😀 \xed\x9f\xbf\xf4\x8f\xbf\xbf", "grün 😀 \xed\x9f\xbf\xf4\x8f\xbf\xbf");
  mended("gr\xc3", "gr\xef\xbf\xbd");
  mended("\xc3n", "\xef\xbf\xbdn");
  mended("\xe2\x82|\xf0\x9f\x98|\x80|\xff", "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd");
  mended("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");
  mended("\xe0\x9f", "\xef\xbf\xbd\xef\xbf\xbd");
  mended("\xed\xa0", "\xef\xbf\xbd\xef\xbf\xbd");
  mended("\xf4\x90", "\xef\xbf\xbd\xef\xbf\xbd");
  assert(strstr(written(&(struct params){.name = "gr\xc3"}), "\"name\":\"gr\xef\xbf\xbd\""));

  printf("%s", manifest(&STEP_OF));
  return 0;
}
