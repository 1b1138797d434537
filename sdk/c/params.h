// What runner.c and the tests need of params.c.
#include "runner.h"

const char *manifest(const step *of);
bool read_params(const step *of, const char *json, size_t size, void *params, error *err);
const char *write_outputs(const step *of, const void *outputs);
