// Tests of sdk/c/runner.c, on this machine: what its functions hand to the host, which is made up here, and what they make of
// an answer. Nothing else of the host is there.
#include "runner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool mute(const void *params, void *outputs, error *err) {
  (void)params, (void)outputs, (void)err;
  return false;
}

const step this_step = {.run = mute};

static runner_step_types_effect_t declared;
// Handles that are held.
static int held;
static char logged[64];

void step_string_dup(step_string_t *made, const char *words) {
  size_t size = strlen(words);
  *made = (step_string_t){memcpy(malloc(size), words, size), size};
}

void step_string_dup_n(step_string_t *made, const char *words, size_t size) {
  *made = (step_string_t){memcpy(malloc(size), words, size), size};
}

void step_string_free(step_string_t *made) {
  if (made->len) free(made->ptr);
}

void runner_step_commands_output_free(runner_step_commands_output_t *ended) { step_string_free(&ended->stdout_); }

void runner_step_http_response_free(runner_step_http_response_t *answer) { (void)answer; }

void runner_step_log_info(step_string_t *line) { memcpy(logged, line->ptr, line->len); }

runner_step_targets_own_target_t runner_step_targets_current(void) {
  return (runner_step_targets_own_target_t){++held};
}

runner_step_targets_borrow_target_t runner_step_targets_borrow_target(runner_step_targets_own_target_t own) {
  return (runner_step_targets_borrow_target_t){own.__handle};
}

void runner_step_targets_target_drop_borrow(runner_step_targets_borrow_target_t of) { (void)of, held--; }

void runner_step_targets_method_target_name(runner_step_targets_borrow_target_t of, step_string_t *name) {
  (void)of, step_string_dup_n(name, "a\0b", 3);
}

runner_step_commands_own_command_t runner_step_commands_constructor_command(step_list_string_t *argv,
                                                                            runner_step_commands_effect_t effect) {
  (void)argv, declared = effect;
  return (runner_step_commands_own_command_t){1};
}

runner_step_commands_borrow_command_t runner_step_commands_borrow_command(runner_step_commands_own_command_t own) {
  return (runner_step_commands_borrow_command_t){own.__handle};
}

void runner_step_commands_command_drop_own(runner_step_commands_own_command_t own) { (void)own; }

bool runner_step_commands_method_command_run(runner_step_commands_borrow_command_t self,
                                             runner_step_commands_borrow_target_t on, runner_step_commands_output_t *ended,
                                             runner_step_commands_error_t *err) {
  (void)self, (void)on, (void)err;
  *ended = (runner_step_commands_output_t){0};
  return true;
}

runner_step_http_own_request_t runner_step_http_constructor_request(step_string_t *method, step_string_t *url,
                                                                    runner_step_http_effect_t effect) {
  (void)method, (void)url, declared = effect;
  return (runner_step_http_own_request_t){1};
}

runner_step_http_borrow_request_t runner_step_http_borrow_request(runner_step_http_own_request_t own) {
  return (runner_step_http_borrow_request_t){own.__handle};
}

void runner_step_http_request_drop_own(runner_step_http_own_request_t own) { (void)own; }

bool runner_step_http_method_request_send(runner_step_http_borrow_request_t self, runner_step_http_response_t *answer,
                                          runner_step_http_error_t *err) {
  (void)self, (void)err;
  runner_step_http_header_t *headers = alloc(2 * sizeof *headers);
  step_string_dup(&headers[0].name, "etag"), step_string_dup(&headers[0].value, "a");
  step_string_dup(&headers[1].name, "etag"), step_string_dup(&headers[1].value, "b");
  *answer = (runner_step_http_response_t){.status = 200, .headers = {headers, 2}};
  return true;
}

static void of_request(request what, runner_step_types_effect_t effect) {
  error err;
  assert(request_send(&what, NULL, &err) && declared == effect);
}

static void of_command(command what, runner_step_types_effect_t effect) {
  error err;
  assert(command_run(&what, (target){1}, NULL, &err) && declared == effect);
}

int main(void) {
  of_request((request){.url = "http://a"}, RUNNER_STEP_TYPES_EFFECT_READ);
  of_request((request){.url = "http://a", .method = "HEAD"}, RUNNER_STEP_TYPES_EFFECT_READ);
  of_request((request){.url = "http://a", .method = "POST"}, RUNNER_STEP_TYPES_EFFECT_OPAQUE);
  of_request((request){.url = "http://a", .method = "POST", .effect = READ}, RUNNER_STEP_TYPES_EFFECT_READ);
  of_request((request){.url = "http://a", .effect = SIGNAL}, RUNNER_STEP_TYPES_EFFECT_SIGNAL);
  of_command((command){.argv = LIST("x")}, RUNNER_STEP_TYPES_EFFECT_OPAQUE);
  of_command((command){.argv = LIST("x"), .effect = READ}, RUNNER_STEP_TYPES_EFFECT_READ);
  of_command((command){.argv = LIST("x"), .effect = JOIN}, RUNNER_STEP_TYPES_EFFECT_JOIN);

  response answer;
  error err;
  assert(request_send(&(request){.url = "http://a"}, &answer, &err));
  assert(!strcmp(response_header(&answer, "ETag"), "a") && !response_header(&answer, "etags"));
  // All that is answered can be freed, and what is empty, too.
  free((void *)answer.body), free((void *)response_header(&answer, "etag"));

  assert(target_current().__handle == target_current().__handle && held == 1);
  assert(!strcmp(target_name(target_current()), "a\xef\xbf\xbd" "b"));
  target_drop(target_current());
  assert(held == 1);
  target_drop((target){2});
  assert(held == 0);

  log_info("%.3s", "grün");
  assert(!strcmp(logged, "gr\xef\xbf\xbd"));
  assert(!fail(&err, TIMEOUT, "gr\xc3", "%.3s", "grün") && err.kind == TIMEOUT);
  // An error may be asked again and again.
  for (int i = 0; i < 2; i++) {
    assert(!strcmp(error_message(&err), "gr\xef\xbf\xbd") && !strcmp(error_detail(&err), "gr\xef\xbf\xbd"));
  }
  assert(!fail(&err, OTHER, NULL, "x") && !strcmp(error_detail(&err), ""));

  step_string_t given = {(uint8_t *)"{}", 2}, written;
  assert(!exports_step_run(&given, &written, &err) && err.kind == OTHER);
  assert(!strcmp(error_message(&err), "the step failed and does not say why"));
  return 0;
}
