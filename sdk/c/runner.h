// Write a step of the deploy runner in C. README.md says how; wit/ of the runner says what each call does.
//
// Text is UTF-8 and ends with a NUL. A file or a parameter that has one inside is the error `INVALID`; in what a command or
// a server said it is replaced. In the log, in errors and in outputs, what is not UTF-8 is replaced, too. A NULL in the place
// of a text is logged with the name of the call, and ends the step. A function that can fail answers false and says why in
// its last argument: hand that on with `return false`. Results may be NULL where they are of no interest.
//
// Nothing needs to be freed: the instance lives for one call. What calls answer is memory that `free` takes.
#ifndef RUNNER_H
#define RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "step.h"

#define FORMAT(at) __attribute__((format(printf, at, at + 1)))

// ---- errors -----------------------------------------------------------------------------------------------------------

// `kind`, `message` and `detail`; the same for host calls and steps.
typedef runner_step_types_error_t error;

typedef enum { DENIED, UNREACHABLE, TIMEOUT, NOT_FOUND, CONFLICT, COMMAND_FAILED, INVALID, CANCELLED, OTHER } error_kind;

// Sets the error and answers false: `return fail(err, CONFLICT, "", "`%s` is not empty", path);`
bool fail(error *err, error_kind kind, const char *detail, const char *message, ...) FORMAT(4);
const char *error_message(const error *err);
const char *error_detail(const error *err);

// ---- text and memory --------------------------------------------------------------------------------------------------

// As printf, into new memory.
const char *text(const char *format, ...) FORMAT(1);
// New memory, zeroed. Never NULL: without memory the step ends.
void *alloc(size_t size);

// A list of text. NULL ends its `items`, too; of one that was left out they are NULL.
typedef struct {
  const char *const *items;
  size_t count;
} list;

typedef struct {
  const char *name, *value;
} pair;

// Names and their values, sorted by name (bytewise).
typedef struct {
  const pair *items;
  size_t count;
} table;

// NULL when there is none.
const char *table_get(table of, const char *name);

// A JSON document, for parameters that the other types do not fit; `jsmn.h` reads it.
typedef struct {
  const char *json;
} json;

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

// ---- log, time, and what this run is ----------------------------------------------------------------------------------

void log_debug(const char *format, ...) FORMAT(1);
void log_info(const char *format, ...) FORMAT(1);
void log_warn(const char *format, ...) FORMAT(1);
void log_error(const char *format, ...) FORMAT(1);
void log_progress(uint32_t done, uint32_t total, const char *what);

uint64_t timer_now(void);
bool timer_sleep(uint32_t milliseconds, error *err);

const char *run_id(void);
const char *run_step_id(void);
const char *run_environment(void);
const char *run_operation_key(void);
// NULL when there is none.
const char *run_release_id(void);
const char *run_previous_release(void);
const char *run_subject(void);
const char *run_variable(const char *name);

// ---- artifacts and secrets --------------------------------------------------------------------------------------------

typedef runner_step_artifacts_borrow_artifact_t artifact;
typedef runner_step_secrets_borrow_secret_t secret;

// Of artifacts, secrets and targets together a step may hold 1024; these give one back.
void artifact_drop(artifact of);
void secret_drop(secret of);

bool artifact_pack(const char *path, const char *const *exclude, artifact *made, error *err);
bool artifact_open(const char *digest, artifact *found, error *err);
bool artifact_from_bytes(const void *content, size_t size, artifact *made, error *err);
const char *artifact_digest(artifact of);
uint64_t artifact_size(artifact of);
bool artifact_bytes(artifact of, const uint8_t **content, size_t *size, error *err);
bool artifact_save(artifact from, const char *path, bool *changed, error *err);

bool secret_get(const char *name, secret *found, error *err);
secret secret_wrap(secret of, const char *before, const char *after);
secret secret_append(secret of, secret other);
secret secret_base64(secret of);
secret secret_url_encode(secret of);

// ---- targets ----------------------------------------------------------------------------------------------------------

typedef runner_step_targets_borrow_target_t target;

// What a command, a request or a talk over a socket does to the world. UNSAID is what is left out.
typedef enum { UNSAID, READ, CHANGE, SIGNAL, LEAVE, JOIN, OPAQUE } effect;
typedef enum { START, STOP, RESTART, RELOAD, RELOAD_OR_RESTART } service_action;
typedef enum { IS_FILE, IS_DIRECTORY, IS_SYMLINK, IS_OTHER } entry_kind;
typedef enum { GOOD, BAD, UNTRIED } mark;

typedef struct {
  const char *name;
  entry_kind kind;
  uint64_t size;
  uint32_t mode;
  const char *owner, *group;
  uint64_t modified;
} entry;

typedef struct {
  const entry *items;
  size_t count;
} entries;

// Mode 0, owner NULL, group NULL: as it is, or what the verb says for something new.
typedef struct {
  uint32_t mode;
  const char *owner, *group;
} attributes;

#define KEEP ((attributes){0})
#define MODE(bits) ((attributes){.mode = (bits)})
// The mode that lets nobody do anything.
#define NO_ACCESS 0x80000000u

// Who owns all that is in a tree or an archive, which has modes of its own. NULL: as it is; `(owned){0}` keeps all.
typedef struct {
  const char *owner, *group;
} owned;

typedef struct {
  const char *path, *points_to;
} link_to;

typedef struct {
  const char *id;
  uint64_t sequence;
  mark mark;
  bool live;
  uint64_t size;
} release;

typedef struct {
  const release *items;
  size_t count;
} releases;

// Always the same: there is nothing to give back.
target target_current(void);
bool target_named(const char *name, target *found, error *err);
void target_drop(target of);
const char *target_name(target of);
bool target_fact(target of, const char *name, const char **value, error *err);
// `name` of what is found is NULL when there is nothing.
bool target_stat(target on, const char *path, entry *found, error *err);
bool target_read_dir(target on, const char *path, entries *found, error *err);
bool target_read_link(target on, const char *path, const char **points_to, error *err);
bool target_read(target on, const char *path, const char **content, error *err);
bool target_digest(target on, const char *path, const char **digest, error *err);
bool target_disk_free(target on, const char *path, uint64_t *bytes, error *err);
bool target_fetch(target on, const char *path, artifact *made, error *err);
bool target_service_is_active(target on, const char *unit, bool *active, error *err);
bool target_write(target on, const char *path, const char *content, attributes how, bool *changed, error *err);
bool target_write_secret(target on, const char *path, secret content, attributes how, bool *changed, error *err);
bool target_put(target on, const char *path, artifact content, attributes how, bool *changed, error *err);
bool target_mkdir(target on, const char *path, attributes how, bool *changed, error *err);
bool target_symlink(target on, const char *path, const char *points_to, bool *changed, error *err);
bool target_rename(target on, const char *old_path, const char *new_path, error *err);
bool target_remove(target on, const char *path, bool *changed, error *err);
bool target_remove_tree(target on, const char *path, bool *changed, error *err);
bool target_set_attributes(target on, const char *path, attributes how, bool *changed, error *err);
// `links` ends with {0} or is NULL; so may be `reuse`.
bool target_unpack(target on, const char *path, artifact tree, const link_to *links, const char *reuse, owned how,
                   bool *changed, error *err);
bool target_archive(target on, const char *path, const char *into, uint64_t *size, error *err);
bool target_unarchive(target on, const char *archive, const char *path, owned how, bool *changed, error *err);
bool target_service(target on, const char *unit, service_action action, error *err);
bool target_exchange(target on, const char *socket, const char *content, effect effect, const char **answer, error *err);
bool target_releases(target on, const char *root, releases *found, error *err);
// `id` of what is found is NULL when there is none.
bool target_previous_release(target on, const char *root, release *found, error *err);

// ---- commands ---------------------------------------------------------------------------------------------------------

// A variable, with a value or with a secret.
typedef struct {
  const char *name, *value;
  const secret *secret;
} variable;

// Only `argv` is needed; an `effect` that is left out is OPAQUE.
typedef struct command {
  const char *const *argv;  // LIST("nginx", "-t"); no shell sees it
  effect effect;
  const variable *env;  // ends with {0}
  const char *stdin_text;
  const secret *stdin_secret;
  const artifact *stdin_artifact;
  const char *stdin_file;
  bool decompress;
  const char *stdout_to;
  bool compress;
  const char *directory;
  uint32_t timeout;        // milliseconds; 0: a minute
  const uint32_t *accept;  // statuses beside 0; ends with 0
  const struct command *skip_if, *undo_with;
  bool keep, repeatable;
} command;

typedef struct {
  uint32_t status;
  const char *stdout_text, *stderr_text;
  bool truncated, skipped;
} output;

bool command_run(const command *what, target on, output *ended, error *err);

// ---- requests ---------------------------------------------------------------------------------------------------------

typedef variable header;

// Only `url` is needed; a `method` that is left out is GET, an `effect` is READ for GET and HEAD, and else OPAQUE.
typedef struct request {
  const char *method, *url;
  effect effect;
  const header *headers;  // ends with {0}
  const char *body;
  const secret *body_secret;
  const artifact *body_artifact;
  const target *via;
  const char *connect_to;
  uint32_t timeout;  // milliseconds; 0: 30 seconds
  const struct request *undo_with;
  bool repeatable;
} request;

typedef struct {
  uint16_t status;
  table headers;  // as they came
  const char *body;
  bool truncated, skipped;
} response;

bool request_send(const request *what, response *answer, error *err);
// The value of the first header of this name, in any case; NULL when there is none.
const char *response_header(const response *of, const char *name);
bool request_download(const request *what, artifact *made, error *err);

// ---- the workspace ----------------------------------------------------------------------------------------------------

bool workspace_stat(const char *path, entry *found, error *err);
bool workspace_read_dir(const char *path, entries *found, error *err);
bool workspace_read(const char *path, const char **content, error *err);
bool workspace_digest(const char *path, const char **digest, error *err);
bool workspace_write(const char *path, const char *content, bool *changed, error *err);

// ---- a step -----------------------------------------------------------------------------------------------------------

typedef enum { A_TEXT, A_FLAG, AN_INTEGER, A_COUNT, A_NUMBER, A_LIST, A_TABLE, SOME_JSON } field_kind;

// A member of the struct of parameters, or of outputs: how the schema has it, and where it is.
typedef struct {
  const char *name;  // `_` is written `-` in a plan
  size_t offset;
  field_kind kind;
  const char *doc;
  bool optional;                                // left out, it is NULL, 0, false or empty
  bool pointer;                                 // to a number or a flag: left out, it is NULL
  const char *fallback, *minimum, *maximum;     // in JSON
  const char *pattern;
  const char *const *choices;                   // the words that are allowed
  const char *schema;                           // in JSON, in place of the type's own
} field;

#define KIND(of)                                                                                                      \
  _Generic((of), const char *: A_TEXT, bool: A_FLAG, int64_t: AN_INTEGER, uint32_t: A_COUNT, double: A_NUMBER,        \
           list: A_LIST, table: A_TABLE, json: SOME_JSON, const bool *: A_FLAG, const int64_t *: AN_INTEGER,          \
           const uint32_t *: A_COUNT, const double *: A_NUMBER)
#define POINTER(of)                                                                                                   \
  _Generic((of), const bool *: true, const int64_t *: true, const uint32_t *: true, const double *: true,             \
           default: false)

// FIELD(struct params, tries, "How often to ask.", .fallback = "5", .minimum = "1")
#define FIELD(type, member, ...)                                                                                      \
  {.name = #member, .offset = offsetof(type, member), .pointer = POINTER(((type *)0)->member),                        \
   .kind = KIND(((type *)0)->member), __VA_ARGS__}
#define OPTIONAL .optional = true

typedef enum { EACH_TARGET, ONCE } runs;

typedef struct {
  const char *name, *version, *summary, *documentation;
  runs runs;
  const char *const *ssh, *const *files, *const *http, *const *secrets;  // LIST("write:${file}")
  const field *params, *outputs;
  size_t params_count, outputs_count, params_size, outputs_size;
  bool (*run)(const void *params, void *outputs, error *err);
} step;

// Makes this file the step. `does` is a `bool (const PARAMS *, OUTPUTS *, error *)`.
#define STEP(params_type, outputs_type, params_fields, outputs_fields, does, ...)                                     \
  static bool does_##does(const void *params, void *outputs, error *err) { return does(params, outputs, err); }       \
  const step this_step = {.params = params_fields,                                                                    \
                          .outputs = outputs_fields,                                                                  \
                          .params_count = sizeof(params_fields) / sizeof(field),                                      \
                          .outputs_count = sizeof(outputs_fields) / sizeof(field),                                    \
                          .params_size = sizeof(params_type),                                                         \
                          .outputs_size = sizeof(outputs_type),                                                       \
                          .run = does_##does,                                                                         \
                          __VA_ARGS__};

extern const step this_step;

#endif
