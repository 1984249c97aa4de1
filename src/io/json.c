#include <sigmatic/io/json.h>

#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static const char *const kinds[] = {
    [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "text", [JSON_INTEGER] = "a number",
    [JSON_REAL] = "a number",    [JSON_TRUE] = "true",      [JSON_FALSE] = "false", [JSON_NULL] = "null",
};

/* Goes down the dotted path; NULL if some part of it is missing. */
static const json_t *value_at(const json_t *json, const char *key)
{
    while (json && *key) {
        size_t length = strcspn(key, ".");
        char *part = sm_format("%.*s", (int)length, key);
        json = json_object_get(json, part); /* NULL also where there is no object */
        sm_free(part);
        key += length + (key[length] == '.');
    }
    return json;
}

sm_status sm_json_read_real(const char *path, const char *key, double *value)
{
    sm_status status = SM_OK;
    char *text = NULL;
    json_t *json = NULL;
    json_error_t error;

    SM_TRY(sm_file_read_text(path, &text));
    json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json) {
        status = sm_fail(SM_ERR_INPUT, "%s:%d: not JSON: %s", path, error.line, error.text);
        goto done;
    }
    const json_t *found = value_at(json, key);
    if (!found) {
        status = sm_fail(SM_ERR_INPUT, "%s: there is no key '%s'", path, key);
    } else if (!json_is_number(found)) {
        status = sm_fail(SM_ERR_INPUT, "%s: '%s' is %s, expected a number", path, key, kinds[json_typeof(found)]);
    } else {
        *value = json_number_value(found);
    }
done:
    json_decref(json);
    sm_free(text);
    return status;
}

/* ---- building: an sm_json is a json_t ------------------------------------------------------------------------------ */

char *sm_json_utf8(const char *text)
{
    json_t *value = json_string(text);
    char *copy = sm_strdup(text);
    for (char *c = copy; !value && *c; c++) {
        *c = (unsigned char)*c < 128 ? *c : '?';
    }
    json_decref(value);
    return copy;
}

/* Puts `value` (which may be NULL: out of memory) into json, which takes it over. */
static sm_json *put(sm_json *json, const char *key, json_t *value)
{
    json_t *into = (json_t *)json;
    assert((key ? json_is_object(into) : json_is_array(into)) && "a key in an object, none in an array");
    char *name = key ? sm_json_utf8(key) : NULL;
    if ((key ? json_object_set_new(into, name, value) : json_array_append_new(into, value)) != 0) {
        sm_abort("JSON value '%s' cannot be set: out of memory", key ? key : "");
    }
    sm_free(name);
    return (sm_json *)value;
}

sm_json *sm_json_new(void)
{
    json_t *json = json_object();
    if (!json) {
        sm_abort("out of memory for JSON");
    }
    return (sm_json *)json;
}

void sm_json_free(sm_json *json)
{
    json_decref((json_t *)json);
}

void sm_json_set_real(sm_json *json, const char *key, double value)
{
    put(json, key, isfinite(value) ? json_real(value) : json_null());
}

void sm_json_set_integer(sm_json *json, const char *key, int64_t value)
{
    put(json, key, json_integer(value));
}

void sm_json_set_text(sm_json *json, const char *key, const char *text)
{
    char *value = sm_json_utf8(text);
    put(json, key, json_string(value));
    sm_free(value);
}

void sm_json_set_bool(sm_json *json, const char *key, int value)
{
    put(json, key, json_boolean(value));
}

sm_json *sm_json_set_object(sm_json *json, const char *key)
{
    return put(json, key, json_object());
}

sm_json *sm_json_set_array(sm_json *json, const char *key)
{
    return put(json, key, json_array());
}

char *sm_json_text(const sm_json *json)
{
    char *text = json_dumps((const json_t *)json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (!text) {
        sm_abort("out of memory for JSON");
    }
    char *copy = sm_strdup(text);
    free(text);
    return copy;
}

void sm_json_set_reals(sm_json *json, const char *key, const double *values, int count)
{
    sm_json *array = sm_json_set_array(json, key);
    for (int i = 0; i < count; i++) {
        sm_json_set_real(array, NULL, values[i]);
    }
}

sm_status sm_json_print(const sm_json *json, FILE *stream)
{
    char *text = sm_json_text(json);
    int failed = fprintf(stream, "%s\n", text) < 0 || fflush(stream) != 0;
    sm_free(text);
    return failed ? sm_fail(SM_ERR_WRITE, "the JSON line cannot be written") : SM_OK;
}

sm_status sm_json_write(const sm_json *json, const char *path)
{
    char *text = sm_json_text(json);
    char *line = sm_format("%s\n", text);
    sm_status status = sm_file_write_atomic(path, line, strlen(line));
    sm_free(text);
    sm_free(line);
    return status;
}
