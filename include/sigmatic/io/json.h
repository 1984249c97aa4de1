/** \file
 * JSON: single values out of small files, and one-line results in the order in which they were set. */
#ifndef SIGMATIC_IO_JSON_H
#define SIGMATIC_IO_JSON_H

#include <sigmatic/base/status.h>

#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A number (integer or real) out of a file.
 * \param key  dotted path through objects, "extrinsic.baseline"
 * \return SM_ERR_IO: cannot be read; SM_ERR_INPUT: not JSON (names the line), no such key or not a number (names the key) */
sm_status sm_json_read_real(const char *path, const char *key, double *value);

/** An object or array under construction. */
typedef struct sm_json sm_json;

/** \return the text, with ? for every byte that is not ASCII if it is not UTF-8: names of files and of objects in them are
 * any bytes. Freed with sm_free(). */
char *sm_json_utf8(const char *text);

/** \return an empty object, freed with sm_json_free() (with all that was put into it). */
sm_json *sm_json_new(void);

/** NULL is legal. Only for what sm_json_new() gave. */
void sm_json_free(sm_json *json);

/** Setting: in an object `key` names the value (an earlier one of that name is replaced in its place); in an array `key` is NULL and the value goes to the end. Text is copied; bytes that are not UTF-8 become '?'. NaN and infinities become null. */
void sm_json_set_real(sm_json *json, const char *key, double value);
void sm_json_set_integer(sm_json *json, const char *key, int64_t value);
void sm_json_set_text(sm_json *json, const char *key, const char *text);
void sm_json_set_bool(sm_json *json, const char *key, int value);

/** \return an empty object (array) set in `json`, owned by it. */
sm_json *sm_json_set_object(sm_json *json, const char *key);
sm_json *sm_json_set_array(sm_json *json, const char *key);

/** Sets an array of `count` numbers. */
void sm_json_set_reals(sm_json *json, const char *key, const double *values, int count);

/** \return the line without its newline, of the whole or of an object or array in it, freed with sm_free(). */
char *sm_json_text(const sm_json *json);

/** Prints one line and its newline; reals with 15 digits. SM_ERR_WRITE if the stream refuses. */
sm_status sm_json_print(const sm_json *json, FILE *stream);

/** Writes the line to a file (sm_file_write_atomic). */
sm_status sm_json_write(const sm_json *json, const char *path);

#ifdef __cplusplus
}
#endif
#endif
