// The functions of runner.h, over the bindings in step.h, which wit-bindgen made.
#include "runner.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "params.h"

#define SAME(ours, theirs) _Static_assert((int)ours == (int)theirs, #ours)
SAME(OTHER, RUNNER_STEP_TYPES_ERROR_KIND_OTHER);
SAME(READ - 1, RUNNER_STEP_TYPES_EFFECT_READ);
SAME(OPAQUE - 1, RUNNER_STEP_TYPES_EFFECT_OPAQUE);
SAME(IS_OTHER, RUNNER_STEP_TYPES_ENTRY_KIND_OTHER);
SAME(RELOAD_OR_RESTART, RUNNER_STEP_TARGETS_SERVICE_ACTION_RELOAD_OR_RESTART);
SAME(UNTRIED, RUNNER_STEP_RELEASES_MARK_UNTRIED);

// ---- text and memory --------------------------------------------------------------------------------------------------

void *alloc(size_t size) {
  void *made = calloc(1, size ? size : 1);
  if (!made) abort();
  return made;
}

static char *vtext(const char *format, va_list words) {
  va_list again;
  va_copy(again, words);
  int size = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (size < 0) abort();
  char *made = alloc((size_t)size + 1);
  vsnprintf(made, (size_t)size + 1, format, words);
  return made;
}

#define FORMATTED(name, format)     \
  va_list words;                    \
  va_start(words, format);          \
  const char *name = vtext(format, words); \
  va_end(words)

const char *text(const char *format, ...) {
  FORMATTED(made, format);
  return made;
}

const char *table_get(table of, const char *name) {
  for (size_t i = 0; i < of.count; i++) {
    if (!strcmp(of.items[i].name, name)) return of.items[i].value;
  }
  return NULL;
}

// Ends the step where there is nothing: to the host it would be what is at address 0.
static const char *not_null(const char *words, const char *call) {
  if (words) return words;
  const char *line = text("%s: a text is NULL", call);
  runner_step_log_error(&(step_string_t){(uint8_t *)line, strlen(line)});
  abort();
}

// For what is passed.
static step_string_t view(const char *words, const char *call) {
  return (step_string_t){(uint8_t *)not_null(words, call), strlen(words)};
}
#define TEXT_OF(call, words) (&(step_string_t[]){view(words, call)}[0])
#define TEXT(words) TEXT_OF(__func__, words)

// The contract has none that is left out.
static runner_step_types_effect_t effect_of(effect said, effect usual) {
  return (runner_step_types_effect_t)((said == UNSAID ? usual : said) - 1);
}

// For what the bindings free.
static step_string_t copy(const char *words) {
  step_string_t made;
  step_string_dup(&made, words);
  return made;
}

// What the host says, with a NUL at its end; one inside is replaced, as the host replaces what is not UTF-8. What it was in
// is given back, or is what is answered.
static const char *shown(step_string_t from) {
  size_t nuls = 0;
  for (size_t i = 0; i < from.len; i++) nuls += !from.ptr[i];
  if (from.len && !nuls) {
    char *made = realloc(from.ptr, from.len + 1);
    if (!made) abort();
    made[from.len] = 0;
    return made;
  }
  char *made = alloc(from.len + 2 * nuls + 1), *to = made;
  for (size_t i = 0; i < from.len; i++) {
    if (from.ptr[i]) *to++ = (char)from.ptr[i];
    else memcpy(to, "\xef\xbf\xbd", 3), to += 3;
  }
  step_string_free(&from);
  return made;
}

// The same, where nothing may be lost.
static bool whole(step_string_t from, const char *what, const char **into, error *err) {
  if (from.len && memchr(from.ptr, 0, from.len)) {
    step_string_free(&from);
    return fail(err, INVALID, "", "%s: it has a NUL in it, which text of a step in C cannot have", what);
  }
  if (into) *into = shown(from);
  else step_string_free(&from);
  return true;
}

bool fail(error *err, error_kind kind, const char *detail, const char *message, ...) {
  FORMATTED(made, message);
  *err = (error){(runner_step_types_error_kind_t)kind, copy(well_formed(made)), copy(well_formed(detail ? detail : ""))};
  return false;
}

// The error keeps its own: it may be handed on.
static const char *also(step_string_t from) {
  step_string_t made;
  step_string_dup_n(&made, (const char *)from.ptr, from.len);
  return shown(made);
}

const char *error_message(const error *err) { return also(err->message); }
const char *error_detail(const error *err) { return also(err->detail); }

// ---- log, time, and what this run is ----------------------------------------------------------------------------------

#define LOG(level)                              \
  void log_##level(const char *format, ...) {   \
    FORMATTED(made, format);                    \
    runner_step_log_##level(TEXT(well_formed(made))); \
  }
LOG(debug)
LOG(info)
LOG(warn)
LOG(error)

void log_progress(uint32_t done, uint32_t total, const char *what) {
  runner_step_log_progress(done, total, TEXT(well_formed(not_null(what, __func__))));
}

uint64_t timer_now(void) { return runner_step_timer_now(); }
bool timer_sleep(uint32_t milliseconds, error *err) { return runner_step_timer_sleep(milliseconds, err); }

#define ALWAYS(name, call)     \
  const char *name(void) {     \
    step_string_t found;       \
    call(&found);              \
    return shown(found);       \
  }
#define SOMETIMES(name, call)                    \
  const char *name(void) {                       \
    step_string_t found;                         \
    return call(&found) ? shown(found) : NULL;   \
  }
ALWAYS(run_id, runner_step_run_info_run_id)
ALWAYS(run_step_id, runner_step_run_info_step_id)
ALWAYS(run_environment, runner_step_run_info_environment)
ALWAYS(run_operation_key, runner_step_run_info_operation_key)
SOMETIMES(run_release_id, runner_step_run_info_release_id)
SOMETIMES(run_previous_release, runner_step_run_info_previous_release)
SOMETIMES(run_subject, runner_step_run_info_subject)

const char *run_variable(const char *name) {
  step_string_t found;
  return runner_step_run_info_variable(TEXT(name), &found) ? shown(found) : NULL;
}

// ---- artifacts and secrets --------------------------------------------------------------------------------------------

static step_list_string_t strings(const char *const *from) {
  size_t count = 0;
  while (from && from[count]) count++;
  step_string_t *made = alloc(count * sizeof *made);
  for (size_t i = 0; i < count; i++) made[i] = view(from[i], __func__);
  return (step_list_string_t){made, count};
}

static bool made_artifact(bool ok, runner_step_artifacts_own_artifact_t from, artifact *into) {
  if (ok && into) *into = runner_step_artifacts_borrow_artifact(from);
  return ok;
}

bool artifact_pack(const char *path, const char *const *exclude, artifact *made, error *err) {
  runner_step_artifacts_own_artifact_t own = {0};
  step_list_string_t patterns = strings(exclude);
  return made_artifact(runner_step_artifacts_pack(TEXT(path), &patterns, &own, err), own, made);
}

bool artifact_open(const char *digest, artifact *found, error *err) {
  runner_step_artifacts_own_artifact_t own = {0};
  return made_artifact(runner_step_artifacts_open(TEXT(digest), &own, err), own, found);
}

bool artifact_from_bytes(const void *content, size_t size, artifact *made, error *err) {
  runner_step_artifacts_own_artifact_t own = {0};
  step_list_u8_t bytes = {(uint8_t *)(size ? not_null(content, __func__) : NULL), size};
  return made_artifact(runner_step_artifacts_from_bytes(&bytes, &own, err), own, made);
}

const char *artifact_digest(artifact of) {
  step_string_t found;
  runner_step_artifacts_method_artifact_digest(of, &found);
  return shown(found);
}

uint64_t artifact_size(artifact of) { return runner_step_artifacts_method_artifact_size(of); }

bool artifact_bytes(artifact of, const uint8_t **content, size_t *size, error *err) {
  step_list_u8_t found;
  if (!runner_step_artifacts_method_artifact_bytes(of, &found, err)) return false;
  if (content) *content = found.len ? found.ptr : alloc(0);
  else step_list_u8_free(&found);
  if (size) *size = found.len;
  return true;
}

bool artifact_save(artifact from, const char *path, bool *changed, error *err) {
  bool ignored;
  return runner_step_artifacts_method_artifact_save(from, TEXT(path), changed ? changed : &ignored, err);
}

void artifact_drop(artifact of) { runner_step_artifacts_artifact_drop_borrow(of); }

bool secret_get(const char *name, secret *found, error *err) {
  runner_step_secrets_own_secret_t own;
  if (!runner_step_secrets_get(TEXT(name), &own, err)) return false;
  *found = runner_step_secrets_borrow_secret(own);
  return true;
}

secret secret_wrap(secret of, const char *before, const char *after) {
  return runner_step_secrets_borrow_secret(runner_step_secrets_method_secret_wrap(of, TEXT(before), TEXT(after)));
}

secret secret_append(secret of, secret other) {
  return runner_step_secrets_borrow_secret(runner_step_secrets_method_secret_append(of, other));
}

secret secret_base64(secret of) {
  return runner_step_secrets_borrow_secret(runner_step_secrets_method_secret_base64(of));
}

secret secret_url_encode(secret of) {
  return runner_step_secrets_borrow_secret(runner_step_secrets_method_secret_url_encode(of));
}

void secret_drop(secret of) { runner_step_secrets_secret_drop_borrow(of); }

// ---- targets ----------------------------------------------------------------------------------------------------------

static entry entry_of(const runner_step_types_entry_t *from) {
  return (entry){shown(from->name), (entry_kind)from->kind, from->size,    from->mode,
                 shown(from->owner), shown(from->group),    from->modified};
}

static bool some_entry(bool ok, bool is_some, const runner_step_types_entry_t *from, entry *found) {
  if (ok && found) *found = is_some ? entry_of(from) : (entry){0};
  return ok;
}

static bool all_entries(bool ok, const runner_step_types_entry_t *from, size_t count, entries *found) {
  if (!ok || !found) return ok;
  entry *items = alloc(count * sizeof *items);
  for (size_t i = 0; i < count; i++) items[i] = entry_of(&from[i]);
  if (count) free((void *)from);
  *found = (entries){items, count};
  return true;
}

static runner_step_types_attributes_t attributes_of(attributes from) {
  runner_step_types_attributes_t made = {0};
  made.mode.is_some = from.mode != 0;
  made.mode.val = from.mode & ~NO_ACCESS;
  if ((made.owner.is_some = from.owner != NULL)) made.owner.val = view(from.owner, __func__);
  if ((made.group.is_some = from.group != NULL)) made.group.val = view(from.group, __func__);
  return made;
}

static runner_step_types_attributes_t owned_of(owned from) {
  return attributes_of((attributes){.owner = from.owner, .group = from.group});
}

target target_current(void) {
  // Every call of the host makes a handle, of which there are not many. None is 0.
  static target kept;
  if (!kept.__handle) kept = runner_step_targets_borrow_target(runner_step_targets_current());
  return kept;
}

bool target_named(const char *name, target *found, error *err) {
  runner_step_targets_own_target_t own;
  if (!runner_step_targets_named(TEXT(name), &own, err)) return false;
  *found = runner_step_targets_borrow_target(own);
  return true;
}

void target_drop(target of) {
  if (of.__handle != target_current().__handle) runner_step_targets_target_drop_borrow(of);
}

const char *target_name(target of) {
  step_string_t found;
  runner_step_targets_method_target_name(of, &found);
  return shown(found);
}

// Verbs that answer text.
#define ANSWERS_TEXT(verb)                                                                     \
  bool target_##verb(target on, const char *path, const char **answer, error *err) {           \
    step_string_t found;                                                                       \
    if (!runner_step_targets_method_target_##verb(on, TEXT(path), &found, err)) return false;  \
    return whole(found, path, answer, err);                                                    \
  }
ANSWERS_TEXT(fact)
ANSWERS_TEXT(read_link)
ANSWERS_TEXT(read)
ANSWERS_TEXT(digest)

bool target_stat(target on, const char *path, entry *found, error *err) {
  runner_step_targets_option_entry_t answer;
  bool ok = runner_step_targets_method_target_stat(on, TEXT(path), &answer, err);
  return some_entry(ok, ok && answer.is_some, &answer.val, found);
}

bool target_read_dir(target on, const char *path, entries *found, error *err) {
  runner_step_targets_list_entry_t answer = {0};
  bool ok = runner_step_targets_method_target_read_dir(on, TEXT(path), &answer, err);
  return all_entries(ok, answer.ptr, answer.len, found);
}

bool target_disk_free(target on, const char *path, uint64_t *bytes, error *err) {
  uint64_t ignored;
  return runner_step_targets_method_target_disk_free(on, TEXT(path), bytes ? bytes : &ignored, err);
}

bool target_fetch(target on, const char *path, artifact *made, error *err) {
  runner_step_targets_own_artifact_t own = {0};
  return made_artifact(runner_step_targets_method_target_fetch(on, TEXT(path), &own, err), own, made);
}

// Verbs that answer whether something is so, or different now.
#define ANSWERS_BOOL(verb, parameters, ...)                                        \
  bool target_##verb(target on, const char *path, parameters bool *answer, error *err) { \
    bool ignored;                                                                  \
    return runner_step_targets_method_target_##verb(on, TEXT(path), __VA_ARGS__ answer ? answer : &ignored, err); \
  }
#define AND ,
ANSWERS_BOOL(service_is_active, , )
ANSWERS_BOOL(remove, , )
ANSWERS_BOOL(remove_tree, , )
ANSWERS_BOOL(symlink, const char *points_to AND, TEXT(points_to), )
ANSWERS_BOOL(mkdir, attributes how AND, (runner_step_types_attributes_t[]){attributes_of(how)}, )
ANSWERS_BOOL(set_attributes, attributes how AND, (runner_step_types_attributes_t[]){attributes_of(how)}, )
ANSWERS_BOOL(write, const char *content AND attributes how AND, TEXT(content),
             (runner_step_types_attributes_t[]){attributes_of(how)}, )
ANSWERS_BOOL(write_secret, secret content AND attributes how AND, content,
             (runner_step_types_attributes_t[]){attributes_of(how)}, )
ANSWERS_BOOL(put, artifact content AND attributes how AND, content,
             (runner_step_types_attributes_t[]){attributes_of(how)}, )
ANSWERS_BOOL(unarchive, const char *into AND owned how AND, TEXT(into),
             (runner_step_types_attributes_t[]){owned_of(how)}, )

bool target_rename(target on, const char *old_path, const char *new_path, error *err) {
  return runner_step_targets_method_target_rename(on, TEXT(old_path), TEXT(new_path), err);
}

bool target_unpack(target on, const char *path, artifact tree, const link_to *links, const char *reuse, owned how,
                   bool *changed, error *err) {
  size_t count = 0;
  while (links && links[count].path) count++;
  runner_step_types_link_t *made = alloc(count * sizeof *made);
  for (size_t i = 0; i < count; i++) {
    made[i] = (runner_step_types_link_t){view(links[i].path, __func__), view(links[i].points_to, __func__)};
  }
  runner_step_targets_list_link_t all = {made, count};
  runner_step_types_attributes_t with = owned_of(how);
  bool ignored;
  return runner_step_targets_method_target_unpack(on, TEXT(path), tree, &all, reuse ? TEXT(reuse) : NULL, &with,
                                                  changed ? changed : &ignored, err);
}

bool target_archive(target on, const char *path, const char *into, uint64_t *size, error *err) {
  uint64_t ignored;
  return runner_step_targets_method_target_archive(on, TEXT(path), TEXT(into), size ? size : &ignored, err);
}

bool target_service(target on, const char *unit, service_action action, error *err) {
  return runner_step_targets_method_target_service(on, TEXT(unit), (runner_step_targets_service_action_t)action, err);
}

bool target_exchange(target on, const char *socket, const char *content, effect effect, const char **answer, error *err) {
  step_string_t found;
  runner_step_types_effect_t does = effect_of(effect, OPAQUE);
  if (!runner_step_sockets_exchange(on, TEXT(socket), TEXT(content), does, &found, err)) return false;
  return whole(found, socket, answer, err);
}

static release release_of(const runner_step_releases_release_t *from) {
  return (release){shown(from->id), from->sequence, (mark)from->mark, from->live, from->size};
}

bool target_releases(target on, const char *root, releases *found, error *err) {
  runner_step_releases_list_release_t answer;
  if (!runner_step_releases_all(on, TEXT(root), &answer, err)) return false;
  if (!found) return true;
  release *items = alloc(answer.len * sizeof *items);
  for (size_t i = 0; i < answer.len; i++) items[i] = release_of(&answer.ptr[i]);
  if (answer.len) free(answer.ptr);
  *found = (releases){items, answer.len};
  return true;
}

bool target_previous_release(target on, const char *root, release *found, error *err) {
  runner_step_releases_option_release_t answer;
  if (!runner_step_releases_previous(on, TEXT(root), &answer, err)) return false;
  if (found) *found = answer.is_some ? release_of(&answer.val) : (release){0};
  return true;
}

// ---- commands ---------------------------------------------------------------------------------------------------------

static runner_step_commands_own_command_t command_of(const command *what) {
  step_list_string_t argv = strings(what->argv);
  runner_step_commands_own_command_t own =
      runner_step_commands_constructor_command(&argv, effect_of(what->effect, OPAQUE));
  runner_step_commands_borrow_command_t made = runner_step_commands_borrow_command(own);
  for (const variable *one = what->env; one && one->name; one++) {
    if (one->secret) runner_step_commands_method_command_env_secret(made, TEXT(one->name), *one->secret);
    else runner_step_commands_method_command_env(made, TEXT(one->name), TEXT_OF("command", one->value));
  }
  if (what->stdin_text) runner_step_commands_method_command_stdin(made, TEXT(what->stdin_text));
  if (what->stdin_secret) runner_step_commands_method_command_stdin_secret(made, *what->stdin_secret);
  if (what->stdin_artifact) runner_step_commands_method_command_stdin_artifact(made, *what->stdin_artifact);
  if (what->stdin_file) runner_step_commands_method_command_stdin_file(made, TEXT(what->stdin_file));
  if (what->decompress) runner_step_commands_method_command_decompress(made);
  if (what->stdout_to) runner_step_commands_method_command_stdout_to(made, TEXT(what->stdout_to));
  if (what->compress) runner_step_commands_method_command_compress(made);
  if (what->directory) runner_step_commands_method_command_directory(made, TEXT(what->directory));
  if (what->timeout) runner_step_commands_method_command_timeout(made, what->timeout);
  for (const uint32_t *one = what->accept; one && *one; one++) runner_step_commands_method_command_accept(made, *one);
  if (what->skip_if) runner_step_commands_method_command_skip_if(made, command_of(what->skip_if));
  if (what->undo_with) runner_step_commands_method_command_undo_with(made, command_of(what->undo_with));
  if (what->keep) runner_step_commands_method_command_keep(made);
  if (what->repeatable) runner_step_commands_method_command_repeatable(made);
  return own;
}

bool command_run(const command *what, target on, output *ended, error *err) {
  runner_step_commands_own_command_t own = command_of(what);
  runner_step_commands_output_t answer;
  bool ok = runner_step_commands_method_command_run(runner_step_commands_borrow_command(own), on, &answer, err);
  runner_step_commands_command_drop_own(own);
  if (ok && ended) {
    *ended = (output){answer.status, shown(answer.stdout_), shown(answer.stderr_), answer.truncated, answer.skipped};
  } else if (ok) {
    runner_step_commands_output_free(&answer);
  }
  return ok;
}

// ---- requests ---------------------------------------------------------------------------------------------------------

static runner_step_http_own_request_t request_of(const request *what) {
  const char *method = what->method ? what->method : "GET";
  effect usual = strcmp(method, "GET") && strcmp(method, "HEAD") ? OPAQUE : READ;
  runner_step_http_own_request_t own =
      runner_step_http_constructor_request(TEXT(method), TEXT_OF("request", what->url), effect_of(what->effect, usual));
  runner_step_http_borrow_request_t made = runner_step_http_borrow_request(own);
  for (const header *one = what->headers; one && one->name; one++) {
    if (one->secret) runner_step_http_method_request_header_secret(made, TEXT(one->name), *one->secret);
    else runner_step_http_method_request_header(made, TEXT(one->name), TEXT_OF("request", one->value));
  }
  if (what->body) runner_step_http_method_request_body(made, TEXT(what->body));
  if (what->body_secret) runner_step_http_method_request_body_secret(made, *what->body_secret);
  if (what->body_artifact) runner_step_http_method_request_body_artifact(made, *what->body_artifact);
  if (what->via) runner_step_http_method_request_via(made, *what->via);
  if (what->connect_to) runner_step_http_method_request_connect_to(made, TEXT(what->connect_to));
  if (what->timeout) runner_step_http_method_request_timeout(made, what->timeout);
  if (what->undo_with) runner_step_http_method_request_undo_with(made, request_of(what->undo_with));
  if (what->repeatable) runner_step_http_method_request_repeatable(made);
  return own;
}

bool request_send(const request *what, response *answer, error *err) {
  runner_step_http_own_request_t own = request_of(what);
  runner_step_http_response_t got;
  bool ok = runner_step_http_method_request_send(runner_step_http_borrow_request(own), &got, err);
  runner_step_http_request_drop_own(own);
  if (!ok) return false;
  if (!answer) return runner_step_http_response_free(&got), true;
  pair *headers = alloc(got.headers.len * sizeof *headers);
  for (size_t i = 0; i < got.headers.len; i++) {
    headers[i] = (pair){shown(got.headers.ptr[i].name), shown(got.headers.ptr[i].value)};
  }
  if (got.headers.len) free(got.headers.ptr);
  *answer = (response){got.status, {headers, got.headers.len}, shown(got.body), got.truncated, got.skipped};
  return true;
}

const char *response_header(const response *of, const char *name) {
  for (size_t i = 0; i < of->headers.count; i++) {
    if (!strcasecmp(of->headers.items[i].name, name)) return of->headers.items[i].value;
  }
  return NULL;
}

bool request_download(const request *what, artifact *made, error *err) {
  runner_step_http_own_request_t own = request_of(what);
  runner_step_http_own_artifact_t got = {0};
  bool ok = runner_step_http_method_request_download(runner_step_http_borrow_request(own), &got, err);
  runner_step_http_request_drop_own(own);
  return made_artifact(ok, got, made);
}

// ---- the workspace ----------------------------------------------------------------------------------------------------

bool workspace_stat(const char *path, entry *found, error *err) {
  runner_step_workspace_option_entry_t answer;
  bool ok = runner_step_workspace_stat(TEXT(path), &answer, err);
  return some_entry(ok, ok && answer.is_some, &answer.val, found);
}

bool workspace_read_dir(const char *path, entries *found, error *err) {
  runner_step_workspace_list_entry_t answer = {0};
  bool ok = runner_step_workspace_read_dir(TEXT(path), &answer, err);
  return all_entries(ok, answer.ptr, answer.len, found);
}

bool workspace_read(const char *path, const char **content, error *err) {
  step_string_t found;
  return runner_step_workspace_read(TEXT(path), &found, err) && whole(found, path, content, err);
}

bool workspace_digest(const char *path, const char **digest, error *err) {
  step_string_t found;
  return runner_step_workspace_digest(TEXT(path), &found, err) && whole(found, path, digest, err);
}

bool workspace_write(const char *path, const char *content, bool *changed, error *err) {
  bool ignored;
  return runner_step_workspace_write(TEXT(path), TEXT(content), changed ? changed : &ignored, err);
}

// ---- the step ---------------------------------------------------------------------------------------------------------

void exports_step_describe(step_string_t *answer) { *answer = copy(manifest(&this_step)); }

bool exports_step_run(step_string_t *given, step_string_t *answer, error *err) {
  void *params = alloc(this_step.params_size), *outputs = alloc(this_step.outputs_size);
  if (!read_params(&this_step, (const char *)given->ptr, given->len, params, err)) return false;
  fail(err, OTHER, "", "the step failed and does not say why");
  if (!this_step.run(params, outputs, err)) return false;
  const char *written = write_outputs(&this_step, outputs, err);
  if (!written) return false;
  *answer = copy(written);
  return true;
}
