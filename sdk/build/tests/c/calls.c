// Tests of sdk/c/runner.c, on this machine: what its functions hand to the host, which is made up here, and what they make of
// an answer. Nothing else of the host is there.
#include "runner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const step this_step = {0};

static runner_step_types_effect_t declared;

void step_string_dup(step_string_t *made, const char *words) {
  size_t size = strlen(words);
  *made = (step_string_t){memcpy(alloc(size + 1), words, size), size};
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
  static runner_step_http_header_t headers[2];
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
  return 0;
}
