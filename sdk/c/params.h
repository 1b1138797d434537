// What runner.c and the tests need of params.c.
#include "runner.h"

const char *manifest(const step *of);
bool read_params(const step *of, const char *json, size_t size, void *params, error *err);
// NULL, and says why, when they cannot be written.
const char *write_outputs(const step *of, const void *outputs, error *err);
// For people to read: what is not UTF-8 is replaced, since the host ends a step for it.
const char *well_formed(const char *words);
