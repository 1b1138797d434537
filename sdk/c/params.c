// Between a step's structs and JSON: parameters, outputs, and the manifest with the schemas of both.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#include "jsmn.h"
#include "params.h"

// ---- writing ----------------------------------------------------------------------------------------------------------

typedef struct {
  char *start;
  size_t size, room;
} buffer;

static void put_bytes(buffer *to, const char *bytes, size_t size) {
  if (to->room - to->size <= size) {
    size_t room = (to->room + size + 64) * 2;
    char *start = alloc(room);
    if (to->size) memcpy(start, to->start, to->size);
    free(to->start);
    to->start = start, to->room = room;
  }
  memcpy(to->start + to->size, bytes, size);
  to->start[to->size += size] = 0;
}

static void put(buffer *to, const char *words) { put_bytes(to, words, strlen(words)); }

// The size of the letter that begins here, or of what is there of one; then it is not whole.
static size_t letter(const unsigned char *at, bool *whole) {
  size_t size = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : *at < 0xf5 ? 4 : 0;
  // Not the long forms of short letters, no halves of UTF-16, and nothing beyond Unicode.
  unsigned char low = *at == 0xe0 ? 0xa0 : *at == 0xf0 ? 0x90 : 0x80;
  unsigned char high = *at == 0xed ? 0x9f : *at == 0xf4 ? 0x8f : 0xbf;
  size_t found = 1;
  while (found < size && at[found] >= low && at[found] <= high) found++, low = 0x80, high = 0xbf;
  *whole = found == size;
  return found;
}

const char *well_formed(const char *words) {
  buffer to = {0};
  put(&to, "");
  while (*words) {
    bool whole;
    size_t size = letter((const unsigned char *)words, &whole);
    put_bytes(&to, whole ? words : "\xef\xbf\xbd", whole ? size : 3);
    words += size;
  }
  return to.start;
}

static void put_quoted(buffer *to, const char *words) {
  put(to, "\"");
  for (const char *at = words; *at; at++) {
    unsigned char c = (unsigned char)*at;
    if (c == '"' || c == '\\') put_bytes(to, "\\", 1);
    if (c < 0x20) put(to, text("\\u%04x", c));
    else put_bytes(to, at, 1);
  }
  put(to, "\"");
}

// A member of an object; `more` is false for the first one.
static void put_name(buffer *to, bool more, const char *name) {
  if (more) put(to, ",");
  put_quoted(to, name);
  put(to, ":");
}

static void put_list(buffer *to, const char *const *words, size_t count) {
  put(to, "[");
  for (size_t i = 0; i < count; i++) {
    if (i) put(to, ",");
    put_quoted(to, words[i]);
  }
  put(to, "]");
}

static size_t length(const char *const *words) {
  size_t count = 0;
  while (words && words[count]) count++;
  return count;
}

// As a plan writes it.
static const char *dashed(const char *name) {
  char *made = alloc(strlen(name) + 1);
  for (size_t i = 0; name[i]; i++) made[i] = name[i] == '_' ? '-' : name[i];
  return made;
}

static bool may_lack(const field *of) { return of->optional || of->pointer; }

// ---- the manifest -----------------------------------------------------------------------------------------------------

static const char *type_of(const field *of) {
  switch (of->kind) {
    case A_TEXT: return "\"type\":\"string\"";
    case A_FLAG: return "\"type\":\"boolean\"";
    case AN_INTEGER: return "\"type\":\"integer\"";
    case A_COUNT: return of->minimum ? "\"type\":\"integer\"" : "\"type\":\"integer\",\"minimum\":0";
    case A_NUMBER: return "\"type\":\"number\"";
    case A_LIST: return "\"type\":\"array\",\"items\":{\"type\":\"string\"}";
    case A_TABLE: return "\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}";
    case SOME_JSON: break;
  }
  return "";
}

static void put_schema(buffer *to, const field *fields, size_t count, bool closed) {
  put(to, "{\"type\":\"object\",");
  if (closed) put(to, "\"additionalProperties\":false,");
  put(to, "\"properties\":{");
  for (size_t i = 0; i < count; i++) {
    const field *of = &fields[i];
    put_name(to, i, dashed(of->name));
    put(to, "{");
    // The members of the schema that was given, without its braces.
    const char *own = of->schema ? strchr(of->schema, '{') : NULL;
    if (own) put_bytes(to, own + 1, (size_t)(strrchr(own, '}') - own - 1));
    else put(to, type_of(of));
    bool more = to->start[to->size - 1] != '{';
    const struct {
      const char *name, *json;
    } extra[] = { {"minimum", of->minimum}, {"maximum", of->maximum}, {"default", of->fallback} };
    for (size_t j = 0; j < 3; j++) {
      if (!extra[j].json) continue;
      put_name(to, more, extra[j].name);
      put(to, extra[j].json);
      more = true;
    }
    if (of->pattern) {
      put_name(to, more, "pattern");
      put_quoted(to, of->pattern);
      more = true;
    }
    if (of->choices) {
      put_name(to, more, "enum");
      put_list(to, of->choices, length(of->choices));
      more = true;
    }
    if (of->doc) {
      put_name(to, more, "description");
      put_quoted(to, of->doc);
    }
    put(to, "}");
  }
  put(to, "},\"required\":[");
  bool more = false;
  for (size_t i = 0; i < count; i++) {
    if (may_lack(&fields[i]) || fields[i].fallback) continue;
    if (more) put(to, ",");
    put_quoted(to, dashed(fields[i].name));
    more = true;
  }
  put(to, "]}");
}

const char *manifest(const step *of) {
  buffer to = {0};
  put(&to, "{");
  const struct {
    const char *name, *words;
  } words[] = { {"name", of->name},
               {"version", of->version},
               {"summary", of->summary},
               {"documentation", of->documentation},
               {"runs", of->runs == ONCE ? "once" : "each-target"} };
  for (size_t i = 0; i < 5; i++) {
    put_name(&to, i, words[i].name);
    put_quoted(&to, words[i].words ? words[i].words : "");
  }
  put_name(&to, true, "parameters");
  put_schema(&to, of->params, of->params_count, true);
  put_name(&to, true, "outputs");
  put_schema(&to, of->outputs, of->outputs_count, false);
  put_name(&to, true, "capabilities");
  put(&to, "{");
  const struct {
    const char *name, *const *grants;
  } lists[] = { {"ssh", of->ssh}, {"files", of->files}, {"http", of->http}, {"secrets", of->secrets} };
  bool more = false;
  for (size_t i = 0; i < 4; i++) {
    if (!length(lists[i].grants)) continue;
    put_name(&to, more, lists[i].name);
    put_list(&to, lists[i].grants, length(lists[i].grants));
    more = true;
  }
  put(&to, "}}");
  return to.start;
}

// ---- outputs ----------------------------------------------------------------------------------------------------------

static bool bad(error *err, const field *of, const char *what) {
  return fail(err, OTHER, "", "outputs: `%s` %s", dashed(of->name), what);
}

static bool put_value(buffer *to, const field *of, const void *at, error *err) {
  switch (of->kind) {
    case A_TEXT: {
      const char *words = *(const char *const *)at;
      return put_quoted(to, words ? words : ""), true;
    }
    case A_FLAG: return put(to, *(const bool *)at ? "true" : "false"), true;
    case AN_INTEGER: return put(to, text("%lld", (long long)*(const int64_t *)at)), true;
    case A_COUNT: return put(to, text("%lu", (unsigned long)*(const uint32_t *)at)), true;
    case A_NUMBER:
      if (!isfinite(*(const double *)at)) return bad(err, of, "is not a finite number");
      return put(to, text("%.17g", *(const double *)at)), true;
    case A_LIST: {
      const list *all = at;
      for (size_t i = 0; i < all->count; i++) {
        if (!all->items[i]) return bad(err, of, "has a text that is NULL");
      }
      return put_list(to, all->items, all->count), true;
    }
    case A_TABLE: {
      const table *all = at;
      put(to, "{");
      for (size_t i = 0; i < all->count; i++) {
        if (!all->items[i].name || !all->items[i].value) return bad(err, of, "has a text that is NULL");
        put_name(to, i, all->items[i].name);
        put_quoted(to, all->items[i].value);
      }
      return put(to, "}"), true;
    }
    case SOME_JSON: {
      const char *words = ((const json *)at)->json;
      return put(to, words ? words : "null"), true;
    }
  }
  return true;
}

// Whether a member has nothing in it that says so.
static bool is_null(const field *of, const void *at) {
  return (of->pointer || of->kind == A_TEXT || of->kind == SOME_JSON) && !*(const void *const *)at;
}

const char *write_outputs(const step *of, const void *outputs, error *err) {
  buffer to = {0};
  put(&to, "{");
  bool more = false;
  for (size_t i = 0; i < of->outputs_count; i++) {
    const field *one = &of->outputs[i];
    const void *at = (const char *)outputs + one->offset;
    if (may_lack(one) && is_null(one, at)) continue;
    put_name(&to, more, dashed(one->name));
    more = true;
    if (!put_value(&to, one, one->pointer ? *(const void *const *)at : at, err)) return NULL;
  }
  put(&to, "}");
  return well_formed(to.start);
}

// ---- reading ----------------------------------------------------------------------------------------------------------

typedef struct {
  const char *json;
  const jsmntok_t *tokens;
} document;

// The token after a value and all in it.
static int after(const jsmntok_t *tokens, int at) {
  int values = tokens[at].size;
  int next = at + 1;
  if (tokens[at].type == JSMN_OBJECT) {
    while (values-- > 0) next = after(tokens, next + 1);
  } else {
    while (values-- > 0) next = after(tokens, next);
  }
  return next;
}

static unsigned hex(const char *at) { return (unsigned)strtoul((char[]){at[0], at[1], at[2], at[3], 0}, NULL, 16); }

static char *put_code(char *to, unsigned code) {
  if (code < 0x80) return *to++ = (char)code, to;
  if (code < 0x800) return *to++ = (char)(0xc0 | code >> 6), *to++ = (char)(0x80 | (code & 63)), to;
  if (code < 0x10000) *to++ = (char)(0xe0 | code >> 12);
  else *to++ = (char)(0xf0 | code >> 18), *to++ = (char)(0x80 | (code >> 12 & 63));
  return *to++ = (char)(0x80 | (code >> 6 & 63)), *to++ = (char)(0x80 | (code & 63)), to;
}

// NULL: it has a NUL inside.
static const char *unquoted(const char *from, const char *end) {
  char *made = alloc((size_t)(end - from) + 1), *to = made;
  while (from < end) {
    if (*from != '\\') {
      *to++ = *from++;
      continue;
    }
    from += 2;
    switch (from[-1]) {
      case 'n': *to++ = '\n'; break;
      case 't': *to++ = '\t'; break;
      case 'r': *to++ = '\r'; break;
      case 'b': *to++ = '\b'; break;
      case 'f': *to++ = '\f'; break;
      case 'u': {
        unsigned code = hex(from);
        from += 4;
        if (code >= 0xd800 && code < 0xdc00) {
          code = 0x10000 + ((code - 0xd800) << 10) + (hex(from + 2) - 0xdc00);
          from += 6;
        }
        if (!code) return NULL;
        to = put_code(to, code);
        break;
      }
      default: *to++ = from[-1];
    }
  }
  *to = 0;
  return made;
}

static bool wrong(error *err, const char *name, const char *what) {
  return fail(err, INVALID, "", "parameters: `%s` %s", name, what);
}

static bool read_text(const document *in, int at, const char *name, const char **into, error *err) {
  const jsmntok_t *token = &in->tokens[at];
  if (token->type != JSMN_STRING) return wrong(err, name, "must be text");
  *into = unquoted(in->json + token->start, in->json + token->end);
  return *into ? true : wrong(err, name, "has a NUL in it, which text of a step in C cannot have");
}

static int by_name(const void *a, const void *b) { return strcmp(((const pair *)a)->name, ((const pair *)b)->name); }

static bool read_list(const document *in, int at, const char *name, list *into, error *err) {
  if (in->tokens[at].type != JSMN_ARRAY) return wrong(err, name, "must be a list");
  size_t count = (size_t)in->tokens[at].size;
  const char **items = alloc((count + 1) * sizeof *items);
  for (size_t i = 0; i < count; i++) {
    if (!read_text(in, at + 1 + (int)i, name, &items[i], err)) return false;
  }
  *into = (list){items, count};
  return true;
}

static bool read_table(const document *in, int at, const char *name, table *into, error *err) {
  if (in->tokens[at].type != JSMN_OBJECT) return wrong(err, name, "must be a table");
  size_t count = (size_t)in->tokens[at].size;
  pair *items = alloc((count + 1) * sizeof *items);
  for (size_t i = 0; i < count; i++) {
    int key = at + 1 + 2 * (int)i;
    if (!read_text(in, key, name, &items[i].name, err)) return false;
    if (!read_text(in, key + 1, name, &items[i].value, err)) return false;
  }
  qsort(items, count, sizeof *items, by_name);
  *into = (table){items, count};
  return true;
}

static bool read_number(const document *in, int at, const field *of, void *into, error *err) {
  const char *start = in->json + in->tokens[at].start;
  char *end;
  errno = 0;
  bool number = in->tokens[at].type == JSMN_PRIMITIVE && (*start == '-' || (*start >= '0' && *start <= '9'));
  if (number && of->kind == A_NUMBER) {
    *(double *)into = strtod(start, &end);
    return true;
  }
  long long value = number ? strtoll(start, &end, 10) : 0;
  if (!number || end != in->json + in->tokens[at].end || errno) return wrong(err, dashed(of->name), "must be a whole number");
  if (of->kind == AN_INTEGER) return *(int64_t *)into = value, true;
  if (value < 0 || value > UINT32_MAX) return wrong(err, dashed(of->name), "must be from 0 to 4294967295");
  return *(uint32_t *)into = (uint32_t)value, true;
}

static bool read_field(const document *in, int at, const field *of, void *params, error *err) {
  void *into = (char *)params + of->offset;
  // Room for the largest of them.
  if (of->pointer) into = *(void **)into = alloc(sizeof(int64_t));
  const char *name = dashed(of->name);
  const jsmntok_t *token = &in->tokens[at];
  switch (of->kind) {
    case A_TEXT: return read_text(in, at, name, into, err);
    case A_LIST: return read_list(in, at, name, into, err);
    case A_TABLE: return read_table(in, at, name, into, err);
    case A_FLAG: {
      char first = in->json[token->start];
      if (token->type != JSMN_PRIMITIVE || (first != 't' && first != 'f')) return wrong(err, name, "must be true or false");
      return *(bool *)into = first == 't', true;
    }
    case SOME_JSON: {
      // The quotes of a string are not in its token.
      int quote = token->type == JSMN_STRING;
      int size = token->end - token->start + 2 * quote;
      ((json *)into)->json = text("%.*s", size, in->json + token->start - quote);
      return true;
    }
    default: return read_number(in, at, of, into, err);
  }
}

// Reads a whole document; NULL when it is none.
static const jsmntok_t *tokens_of(const char *json, size_t size) {
  jsmn_parser parser;
  jsmn_init(&parser);
  int count = jsmn_parse(&parser, json, size, NULL, 0);
  if (count <= 0) return NULL;
  jsmntok_t *tokens = alloc((size_t)count * sizeof *tokens);
  jsmn_init(&parser);
  return jsmn_parse(&parser, json, size, tokens, (unsigned)count) == count ? tokens : NULL;
}

static bool read_fallback(const field *of, void *params, error *err) {
  // A primitive alone is no document to jsmn.
  const char *boxed = text("[%s]", of->fallback);
  document in = {boxed, tokens_of(boxed, strlen(boxed))};
  return in.tokens ? read_field(&in, 1, of, params, err) : wrong(err, dashed(of->name), "has a default that is no JSON");
}

bool read_params(const step *of, const char *json, size_t size, void *params, error *err) {
  document in = {json, tokens_of(json, size)};
  if (!in.tokens || in.tokens[0].type != JSMN_OBJECT) return fail(err, INVALID, "", "parameters: not an object of JSON");
  bool *seen = alloc(of->params_count + 1);
  int at = 1;
  for (int i = 0; i < in.tokens[0].size; i++, at = after(in.tokens, at + 1)) {
    const char *name;
    if (!read_text(&in, at, "a name", &name, err)) return false;
    size_t found = 0;
    while (found < of->params_count && strcmp(dashed(of->params[found].name), name)) found++;
    if (found == of->params_count) return wrong(err, name, "is not known");
    seen[found] = true;
    if (!read_field(&in, at + 1, &of->params[found], params, err)) return false;
  }
  for (size_t i = 0; i < of->params_count; i++) {
    const field *one = &of->params[i];
    if (seen[i]) continue;
    if (one->fallback && !read_fallback(one, params, err)) return false;
    if (!one->fallback && !may_lack(one)) return wrong(err, dashed(one->name), "is missing");
  }
  return true;
}
