// Writes a configuration file and makes its service use it. The same step is beside this one in other languages.
#include "runner.h"

struct params {
  const char *file;
  table settings;
  list check;
  const char *unit, *health, *token;
  uint32_t tries;
};

static const field PARAMS[] = {
    FIELD(struct params, file, "The file to write: absolute."),
    FIELD(struct params, settings, "What it says: a line `name = value` each, in the order of the names."),
    FIELD(struct params, check, "A command that must accept the file, program first. Without, nothing is asked.",
          .fallback = "[]"),
    FIELD(struct params, unit, "The unit to restart when the file is different.", OPTIONAL),
    FIELD(struct params, health, "The URL that must answer 200 in the end, asked from the target.", OPTIONAL),
    FIELD(struct params, token, "The secret that the URL wants as a bearer token.", OPTIONAL),
    FIELD(struct params, tries, "How often to ask.", .fallback = "5", .minimum = "1", .maximum = "100"),
};

struct outputs {
  bool changed;
  const char *digest;
  uint32_t tries;
};

static const field OUTPUTS[] = {
    FIELD(struct outputs, changed, "Whether the file is different."),
    FIELD(struct outputs, digest, "Of the file."),
    FIELD(struct outputs, tries, "How often the URL was asked."),
};

// Asks until the answer is 200, and says how often it asked.
static bool healthy(const struct params *params, target on, uint32_t *tries, error *err) {
  secret token, bearer;
  header headers[2] = {0};
  if (params->token) {
    if (!secret_get(params->token, &token, err)) return false;
    bearer = secret_wrap(token, "Bearer ", "");
    headers[0] = (header){"authorization", .secret = &bearer};
  }
  request ask = {.url = params->health, .headers = headers, .via = &on, .timeout = 2000};
  const char *last = "";
  for (uint32_t i = 1; i <= params->tries; i++) {
    log_progress(i, params->tries, "tries");
    response answer;
    if (request_send(&ask, &answer, err)) {
      if (answer.status == 200) return *tries = i, true;
      last = text("status %d", answer.status);
    } else if (err->kind == UNREACHABLE || err->kind == TIMEOUT) {
      last = error_message(err);
    } else {
      return false;
    }
    if (i < params->tries && !timer_sleep(100, err)) return false;
  }
  return fail(err, TIMEOUT, last, "`%s` did not answer 200 (after %u tries)", params->health, (unsigned)params->tries);
}

static bool run(const struct params *params, struct outputs *outputs, error *err) {
  target on = target_current();
  log_info("`%s` on `%s`: %zu settings", params->file, target_name(on), params->settings.count);

  const char *lines = "";
  for (size_t i = 0; i < params->settings.count; i++) {
    pair setting = params->settings.items[i];
    lines = text("%s%s = %s\n", lines, setting.name, setting.value);
  }
  if (!target_write(on, params->file, lines, MODE(0644), &outputs->changed, err)) return false;
  if (outputs->changed && params->check.count) {
    if (!command_run(&(command){.argv = params->check.items, .effect = READ}, on, NULL, err)) return false;
  }
  if (outputs->changed && params->unit && !target_service(on, params->unit, RESTART, err)) return false;
  if (params->health && !healthy(params, on, &outputs->tries, err)) return false;
  return target_digest(on, params->file, &outputs->digest, err);
}

STEP(struct params, struct outputs, PARAMS, OUTPUTS, run,
     .name = "config",
     .version = "0.1.0",
     .summary = "writes a configuration file and makes its service use it",
     .ssh = LIST("read:${file}", "write:${file}", "exec-read:${check...}", "service:${unit} restart"),
     .http = LIST("GET ${health} from target"),
     .secrets = LIST("${token}"))
