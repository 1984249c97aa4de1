/** \file
 * Files of named tensors in the format safetensors (https://huggingface.co/docs/safetensors): eight bytes N, little-endian; N bytes
 * of JSON, {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, .., "__metadata__": {"key": "text"}}; the numbers,
 * row-major and little-endian, offsets counted from the end of the JSON, without holes and without overlaps.
 *
 * Opening reads the header alone, and reading one tensor no other. Messages name the file and the tensor. Not collective; a file by one
 * thread at a time. */
#ifndef SIGMATIC_IO_SAFETENSORS_H
#define SIGMATIC_IO_SAFETENSORS_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SM_SAFETENSORS_MAX_RANK = 8 };

/** A tensor of a file. */
typedef struct sm_safetensor {
    const char *name;
    const char *type; /**< as the format writes it: "F32", "BF16", "I64" */
    int is_real;      /**< F64, F32, F16 or BF16: sm_safetensors_read() can read it */
    int rank;         /**< 0: one number */
    size_t shape[SM_SAFETENSORS_MAX_RANK];
    size_t count;          /**< product of the shape */
    uint64_t begin, bytes; /**< in the file */
} sm_safetensor;

/** An open file. */
typedef struct sm_safetensors sm_safetensors;

/** Opens, and checks the whole header.
 * \param [out] out  freed with sm_safetensors_close(); NULL on failure
 * \return SM_ERR_IO: cannot be read; SM_ERR_INPUT: a header longer than the file or than 100 MB, not JSON, not UTF-8, a name twice,
 * an unknown type, numbers that overlap, leave holes, lie outside of the file or are not as many as the shape says */
sm_status sm_safetensors_open(const char *path, sm_safetensors **out);
/** NULL is legal. */
void sm_safetensors_close(sm_safetensors *file);

/** \return how many tensors there are. */
size_t sm_safetensors_count(const sm_safetensors *file);

/** \return a tensor, in the order of their numbers in the file; valid until the file is closed. */
const sm_safetensor *sm_safetensors_get(const sm_safetensors *file, size_t index);

/** \return the text of a key of "__metadata__", NULL if there is none; valid until the file is closed. */
const char *sm_safetensors_metadata(const sm_safetensors *file, const char *key);

/** Reads a tensor whose `is_real` is 1, F64 rounded to the nearest float.
 * \param [out] values  tensor->count floats
 * \return SM_ERR_IO, or SM_ERR_INPUT if the file has become shorter */
sm_status sm_safetensors_read(const sm_safetensors *file, const sm_safetensor *tensor, float *values);

/** A tensor to be written, as F32. */
typedef struct sm_safetensor_values {
    const char *name; /**< UTF-8 */
    int rank;
    size_t shape[SM_SAFETENSORS_MAX_RANK];
    const float *values;
} sm_safetensor_values;

/** \return the product of its shape. */
static inline size_t sm_safetensor_values_count(const sm_safetensor_values *tensor)
{
    size_t count = 1;
    for (int d = 0; d < tensor->rank; d++) {
        count *= tensor->shape[d];
    }
    return count;
}

/** A key of "__metadata__", ASCII, and its text, of which bytes that are not UTF-8 become '?'. */
typedef struct sm_safetensors_text {
    const char *key, *text;
} sm_safetensors_text;

/** Writes a file, atomically (sm_file_write_atomic); the same calls make the same bytes. Takes the file's size once more in memory.
 * \return SM_ERR_INPUT: a name that is not UTF-8, or that two tensors have; SM_ERR_WRITE, SM_ERR_IO */
sm_status sm_safetensors_write(const char *path, const sm_safetensor_values *tensors, size_t count,
                               const sm_safetensors_text *texts, size_t text_count);

#ifdef __cplusplus
}
#endif
#endif
