/* What reader and writer of dataset files share: the table of maps. */
#ifndef DATA_DATASET_FORMAT_H
#define DATA_DATASET_FORMAT_H

#include <sigmatic/data/sample.h>
#include <sigmatic/io/h5.h>

#include <stddef.h>

#define SM_DATASET_FORMAT "sigmatic-dataset"

enum { SM_DATASET_VERSION = 1, SM_DATASET_MAPS = 5 };

typedef struct sm_map_kind {
    const char *name; /* of the dataset; its checksums are <name>_crc32c */
    sm_h5_type type;
    int components;      /* 0: (N,H,W); else (N,H,W,components) */
    unsigned flag;       /* SM_MAP_*; 0: always there */
    size_t sample_field; /* of the pointer in sm_sample */
} sm_map_kind;

extern const sm_map_kind sm_map_kinds[SM_DATASET_MAPS];

/* Bytes of one sample's map. */
size_t sm_map_bytes(const sm_map_kind *kind, int height, int width);

/* Fills shape with (count, height, width[, components]); returns the rank. */
int sm_map_shape(const sm_map_kind *kind, int64_t count, int height, int width, size_t shape[4]);

/* The pointer of the sample that belongs to the map. */
const void *sm_map_get(const sm_map_kind *kind, const sm_sample *sample);
void sm_map_set(const sm_map_kind *kind, sm_sample *sample, const void *map);

/* "/<split>/<map><suffix>" in `text`. */
enum { SM_OBJECT_BYTES = 512 };
const char *sm_map_object(char text[SM_OBJECT_BYTES], const char *split, const char *map, const char *suffix);

#endif
