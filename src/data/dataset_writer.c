#include "data/dataset_format.h"

#include <sigmatic/base/checksum.h>
#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/data/data_description.h>
#include <sigmatic/data/dataset_writer.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/io/h5_checksums.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Places of one split in the file. */
typedef struct split_places {
    int64_t count;
    uint64_t input, input_checksum;
    uint64_t target[SM_TARGETS_MAX], target_checksum[SM_TARGETS_MAX];
    uint64_t original_size, original_size_checksum;
    uint64_t baseline_metres, baseline_checksum, fx_pixels, fx_checksum;
} split_places;

struct sm_dataset_writer {
    sm_file *file;
    const sm_input_kind *input;
    sm_target *targets[SM_TARGETS_MAX];
    int target_count;
    int height, width, channels, has_camera;
    split_places *splits;
    int split_count;
    void *workspace; /* what was read back */
    size_t room;
};

static char *partial_path(const char *path)
{
    return sm_format("%s.partial", path);
}

static const sm_input_kind *input_of(const sm_dataset_spec *spec)
{
    return spec->input ? spec->input : &sm_input_kinds[0];
}

static int channels_of(const sm_dataset_spec *spec)
{
    return input_of(spec)->is_table ? spec->features : input_of(spec)->channels;
}

static sm_h5_type input_type_of(const sm_dataset_spec *spec)
{
    return input_of(spec)->is_table ? SM_H5_FLOAT : SM_H5_U8;
}

/* ---- creating ---------------------------------------------------------------------------------------------------- */

static sm_status write_classes(sm_h5 *file, const char *object, const sm_class_list *classes)
{
    sm_status status = SM_OK;
    size_t count = (size_t)classes->count;
    int64_t *palette = sm_alloc(3 * count * sizeof *palette), *thing = sm_alloc(count * sizeof *thing);
    SM_TRY(sm_h5_write_attribute_texts(file, object, "class_names", classes->names, count));
    for (size_t i = 0; classes->palette && i < 3 * count; i++) {
        palette[i] = classes->palette[i / 3][i % 3];
    }
    if (classes->palette) {
        SM_TRY(sm_h5_write_attribute_int64s(file, object, "palette", palette, 3 * count));
    }
    for (size_t i = 0; i < count; i++) {
        thing[i] = classes->thing && classes->thing[i];
    }
    SM_TRY(sm_h5_write_attribute_int64s(file, object, "thing", thing, count));
    SM_TRY(sm_h5_write_attribute_int64(file, object, "ignore", SM_CLASS_IGNORED));
    if (classes->categories) {
        SM_TRY(sm_h5_write_attribute_texts(file, object, "category", classes->categories, count));
    }
    if (classes->instance_pixels) {
        SM_TRY(sm_h5_write_attribute_doubles(file, object, "instance_pixels", classes->instance_pixels, count));
    }
done:
    sm_free(palette);
    sm_free(thing);
    return status;
}

/* Standard targets are described too: a reader of plain HDF5 need not know them. */
sm_status sm_target_write_description(sm_h5 *file, const char *object, const sm_target *target)
{
    sm_status status = SM_OK;
    int64_t negated[SM_COMPONENTS_MAX];
    size_t negated_count = 0;
    assert(target->components >= 1 && target->components <= SM_COMPONENTS_MAX);
    SM_TRY(sm_h5_write_attribute_text(file, object, "type", sm_target_type_names[target->type]));
    if (target->type == SM_TARGET_REAL) {
        for (int c = 0; c < target->components; c++) {
            if (target->flip_negates >> c & 1) {
                negated[negated_count++] = c;
            }
        }
        SM_TRY(sm_h5_write_attribute_text(file, object, "unit", target->unit));
        SM_TRY(sm_h5_write_attribute_text(file, object, "scaling", sm_target_scaling_names[target->scaling]));
        if (target->turning != sm_target_turning_of(target->scaling)) {
            SM_TRY(sm_h5_write_attribute_text(file, object, "turning", sm_target_turning_names[target->turning]));
        }
        if (negated_count > 0) {
            SM_TRY(sm_h5_write_attribute_int64s(file, object, "flip_negates", negated, negated_count));
        }
        SM_TRY(sm_h5_write_attribute_double(file, object, "least", target->least));
        SM_TRY(sm_h5_write_attribute_double(file, object, "most", target->most));
    }
    if (target->classes) {
        SM_TRY(write_classes(file, object, target->classes));
    }
done:
    return status;
}

/* The array and its checksums. */
static sm_status create_array(sm_h5 *file, const sm_dataset_split_spec *split, const char *name, sm_h5_type type,
                              int rank, const size_t *shape)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    SM_TRY(sm_h5_create_contiguous(file, sm_array_object(object, split->name, name, ""), type, rank, shape, NULL));
    sm_array_object(object, split->name, name, "_crc32c");
    SM_TRY(sm_h5_create_contiguous(file, object, SM_H5_U32, 1, shape, NULL));
done:
    return status;
}

static sm_status create_target(sm_h5 *file, const sm_dataset_spec *spec, const sm_dataset_split_spec *split,
                               const sm_target *target)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    size_t shape[4];
    int rank = sm_target_shape(target, split->count, spec->height, spec->width, shape);
    SM_TRY(create_array(file, split, target->name, sm_target_h5_type(target), rank, shape));
    SM_TRY(sm_target_write_description(file, sm_array_object(object, split->name, target->name, ""), target));
done:
    return status;
}

/* Fills the shape of the input; returns the rank. */
static int input_shape(const sm_dataset_spec *spec, int64_t count, size_t shape[4])
{
    int rank = 0;
    shape[rank++] = (size_t)count;
    if (!input_of(spec)->is_table) {
        shape[rank++] = (size_t)spec->height;
        shape[rank++] = (size_t)spec->width;
    }
    shape[rank++] = (size_t)channels_of(spec);
    return rank;
}

static sm_status create_split(sm_h5 *file, const sm_dataset_spec *spec, const sm_dataset_split_spec *split)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    size_t count = (size_t)split->count, pairs[2] = {count, 2}, shape[4];
    int rank = input_shape(spec, split->count, shape);
    SM_TRY(sm_h5_make_group(file, sm_array_object(object, split->name, "", "")));
    SM_TRY(create_array(file, split, input_of(spec)->name, input_type_of(spec), rank, shape));
    if (spec->feature_names) {
        SM_TRY(sm_h5_write_attribute_texts(file, sm_array_object(object, split->name, input_of(spec)->name, ""),
                                           "names", spec->feature_names, (size_t)spec->features));
    }
    for (int t = 0; t < spec->target_count; t++) {
        SM_TRY(create_target(file, spec, split, &spec->targets[t]));
    }
    SM_TRY(sm_h5_write_texts(file, sm_array_object(object, split->name, "name", ""), split->names, count));
    SM_TRY(input_of(spec)->is_table ? SM_OK : create_array(file, split, "original_size", SM_H5_INT32, 2, pairs));
    if (spec->has_camera) {
        SM_TRY(create_array(file, split, "baseline_metres", SM_H5_DOUBLE, 1, &count));
        SM_TRY(create_array(file, split, "fx_pixels", SM_H5_DOUBLE, 1, &count));
    }
done:
    return status;
}

static sm_status write_head(sm_h5 *file, const sm_dataset_spec *spec)
{
    sm_status status = SM_OK;
    const sm_input_kind *input = input_of(spec);
    const double *mean = spec->mean ? spec->mean : input->mean, *std = spec->std ? spec->std : input->std;
    size_t channels = (size_t)channels_of(spec);
    SM_TRY(sm_h5_write_attribute_text(file, "/", "format", SM_DATASET_FORMAT));
    SM_TRY(sm_h5_write_attribute_int64(file, "/", "format_version", SM_DATASET_VERSION));
    SM_TRY(sm_h5_write_attribute_text(file, "/", "source", spec->source));
    if (mean && std) {
        SM_TRY(sm_h5_write_attribute_doubles(file, "/", "mean", mean, channels));
        SM_TRY(sm_h5_write_attribute_doubles(file, "/", "std", std, channels));
    }
    if (spec->fit) {
        SM_TRY(sm_h5_write_attribute_text(file, "/", "fit", spec->fit));
    }
    if (spec->left_out_count > 0) {
        SM_TRY(sm_h5_write_attribute_int64(file, "/", "left_out", (int64_t)spec->left_out_count));
        SM_TRY(sm_h5_write_texts(file, "/left_out", spec->left_out, spec->left_out_count));
    }
done:
    return status;
}

/* Attributes are in headers, of which HDF5 keeps checksums in this format; but none of those that are too long for one, as
 * the names of many features are. */
static sm_status protect_names(sm_h5 *file, const sm_dataset_spec *spec)
{
    size_t count = spec->feature_names ? (size_t)spec->split_count : 0;
    char **objects = sm_alloc((count + 1) * sizeof *objects);
    for (size_t s = 0; s < count; s++) {
        objects[s] = sm_format("/%s/%s", spec->splits[s].name, input_of(spec)->name);
    }
    sm_status status = count > 0 ? sm_h5_write_checksums(file, (const char *const *)objects, count) : SM_OK;
    for (size_t s = 0; s < count; s++) {
        sm_free(objects[s]);
    }
    sm_free(objects);
    return status;
}

/* Under another name until all its space is there: what bears the name of an unfinished dataset is one. */
static sm_status create_file(const char *path, const sm_dataset_spec *spec)
{
    sm_status status = SM_OK, closed;
    sm_h5 *file = NULL;
    char *begun = sm_format("%s.new", path);
    SM_TRY(sm_h5_create(begun, SM_H5_LATEST, &file));
    SM_TRY(write_head(file, spec));
    for (int s = 0; s < spec->split_count; s++) {
        SM_TRY(create_split(file, spec, &spec->splits[s]));
    }
    SM_TRY(protect_names(file, spec));
done:
    closed = sm_h5_close(file);
    status = status == SM_OK ? closed : status;
    status = status == SM_OK ? sm_file_rename(begun, path) : status;
    if (status != SM_OK) {
        remove(begun);
    }
    sm_free(begun);
    return status;
}

/* ---- joining ----------------------------------------------------------------------------------------------------- */

static sm_status locate_array(const sm_h5 *file, const sm_dataset_split_spec *split, const char *name, sm_h5_type type,
                              int rank, const size_t *shape, uint64_t *array, uint64_t *checksums)
{
    sm_status status = SM_OK;
    char object[SM_OBJECT_BYTES];
    SM_TRY(sm_h5_locate(file, sm_array_object(object, split->name, name, ""), type, rank, shape, array));
    sm_array_object(object, split->name, name, "_crc32c");
    SM_TRY(sm_h5_locate(file, object, SM_H5_U32, 1, shape, checksums));
done:
    return status;
}

static sm_status locate_split(const sm_h5 *file, const sm_dataset_spec *spec, const sm_dataset_split_spec *split,
                              split_places *places)
{
    sm_status status = SM_OK;
    size_t count = (size_t)split->count, pairs[2] = {count, 2}, shape[4];
    int rank = input_shape(spec, split->count, shape);
    places->count = split->count;
    SM_TRY(locate_array(file, split, input_of(spec)->name, input_type_of(spec), rank, shape, &places->input,
                        &places->input_checksum));
    for (int t = 0; t < spec->target_count; t++) {
        const sm_target *target = &spec->targets[t];
        rank = sm_target_shape(target, split->count, spec->height, spec->width, shape);
        SM_TRY(locate_array(file, split, target->name, sm_target_h5_type(target), rank, shape, &places->target[t],
                            &places->target_checksum[t]));
    }
    if (!input_of(spec)->is_table) {
        SM_TRY(locate_array(file, split, "original_size", SM_H5_INT32, 2, pairs, &places->original_size,
                            &places->original_size_checksum));
    }
    if (spec->has_camera) {
        SM_TRY(locate_array(file, split, "baseline_metres", SM_H5_DOUBLE, 1, &count, &places->baseline_metres,
                            &places->baseline_checksum));
        SM_TRY(
            locate_array(file, split, "fx_pixels", SM_H5_DOUBLE, 1, &count, &places->fx_pixels, &places->fx_checksum));
    }
done:
    return status;
}

static void writer_free(sm_dataset_writer *writer)
{
    if (writer) {
        sm_file_close(writer->file);
        for (int t = 0; t < writer->target_count; t++) {
            sm_free(writer->targets[t]);
        }
        sm_free(writer->splits);
        sm_free(writer->workspace);
        sm_free(writer);
    }
}

sm_status sm_dataset_writer_attach(const char *path, const sm_dataset_spec *spec, sm_dataset_writer **out)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    char *partial = partial_path(path);
    sm_dataset_writer *writer = sm_alloc_zeroed(sizeof *writer);
    *out = NULL;
    writer->input = input_of(spec);
    for (; writer->target_count < spec->target_count; writer->target_count++) {
        writer->targets[writer->target_count] = sm_target_copy(&spec->targets[writer->target_count]);
    }
    writer->channels = channels_of(spec);
    writer->height = spec->height;
    writer->width = spec->width;
    writer->has_camera = spec->has_camera;
    writer->split_count = spec->split_count;
    writer->splits = sm_alloc_zeroed((size_t)spec->split_count * sizeof *writer->splits);
    SM_TRY(sm_h5_open(partial, &file));
    for (int s = 0; s < spec->split_count; s++) {
        SM_TRY(locate_split(file, spec, &spec->splits[s], &writer->splits[s]));
    }
    SM_TRY(sm_file_open_write(partial, &writer->file));
    *out = writer;
    writer = NULL;
done:
    sm_h5_close(file);
    writer_free(writer);
    sm_free(partial);
    return status;
}

sm_status sm_dataset_writer_create(const char *path, const sm_dataset_spec *spec, sm_dataset_writer **out)
{
    assert(spec->split_count >= 1 && spec->target_count <= SM_TARGETS_MAX);
    char *partial = partial_path(path);
    sm_status status = sm_make_folder_of(path);
    if (status == SM_OK) {
        status = create_file(partial, spec);
    }
    sm_free(partial);
    return status == SM_OK ? sm_dataset_writer_attach(path, spec, out) : status;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Of a sample. */
static size_t input_bytes(const sm_dataset_writer *writer)
{
    size_t pixels = (size_t)writer->height * (size_t)writer->width;
    return pixels * (size_t)writer->channels * sm_input_number_bytes(writer->input);
}

static sm_status put_array(const sm_dataset_writer *writer, const void *data, size_t bytes, uint64_t index,
                           uint64_t array, uint64_t checksums)
{
    sm_status status = SM_OK;
    uint32_t checksum = sm_crc32c(0, data, bytes);
    SM_TRY(sm_file_pwrite(writer->file, data, bytes, array + index * bytes));
    SM_TRY(sm_file_pwrite(writer->file, &checksum, sizeof checksum, checksums + index * sizeof checksum));
done:
    return status;
}

sm_status sm_dataset_writer_put(sm_dataset_writer *writer, int split, int64_t index, const sm_sample *sample)
{
    assert(split >= 0 && split < writer->split_count && index >= 0 && index < writer->splits[split].count);
    sm_status status = SM_OK;
    const split_places *places = &writer->splits[split];
    uint64_t i = (uint64_t)index;
    SM_TRY(put_array(writer, sample->input, input_bytes(writer), i, places->input, places->input_checksum));
    for (int t = 0; t < writer->target_count; t++) {
        const sm_target *target = writer->targets[t];
        const sm_target_view *view = sm_sample_find(sample, target->name);
        assert(view && "a sample without a target of the file");
        size_t bytes = sm_target_sample_bytes(target, writer->height, writer->width);
        SM_TRY(put_array(writer, view->data, bytes, i, places->target[t], places->target_checksum[t]));
    }
    int32_t size[2] = {sample->original_height, sample->original_width};
    if (!writer->input->is_table) {
        SM_TRY(put_array(writer, size, sizeof size, i, places->original_size, places->original_size_checksum));
    }
    if (writer->has_camera) {
        double baseline = sample->baseline_metres, fx = sample->fx_pixels;
        SM_TRY(put_array(writer, &baseline, sizeof baseline, i, places->baseline_metres, places->baseline_checksum));
        SM_TRY(put_array(writer, &fx, sizeof fx, i, places->fx_pixels, places->fx_checksum));
    }
done:
    return status;
}

sm_status sm_dataset_writer_close(sm_dataset_writer *writer)
{
    sm_status status = writer ? sm_file_sync(writer->file) : SM_OK;
    writer_free(writer);
    return status;
}

sm_status sm_dataset_writer_publish(const char *path)
{
    char *partial = partial_path(path);
    sm_status status = sm_file_rename(partial, path);
    sm_free(partial);
    return status;
}

void sm_dataset_writer_discard(const char *path)
{
    char *partial = partial_path(path);
    if (sm_remove_tree(partial) != SM_OK) {
        sm_log_warning("%s", sm_error_message());
    }
    sm_free(partial);
}

/* ---- what was written -------------------------------------------------------------------------------------------- */

/* One array's part of a sample. */
typedef struct piece {
    uint64_t place, checksum;
    size_t bytes;
} piece;

enum { PIECES_MAX = SM_TARGETS_MAX + 4 };

static piece piece_of(uint64_t array, uint64_t checksums, size_t bytes, int64_t index)
{
    uint64_t i = (uint64_t)index;
    return (piece){array + i * bytes, checksums + i * sizeof(uint32_t), bytes};
}

static int list_pieces(const sm_dataset_writer *writer, int split, int64_t index, piece pieces[PIECES_MAX])
{
    const split_places *p = &writer->splits[split];
    int count = 0;
    pieces[count++] = piece_of(p->input, p->input_checksum, input_bytes(writer), index);
    for (int t = 0; t < writer->target_count; t++) {
        size_t bytes = sm_target_sample_bytes(writer->targets[t], writer->height, writer->width);
        pieces[count++] = piece_of(p->target[t], p->target_checksum[t], bytes, index);
    }
    if (!writer->input->is_table) {
        pieces[count++] = piece_of(p->original_size, p->original_size_checksum, 2 * sizeof(int32_t), index);
    }
    if (writer->has_camera) {
        pieces[count++] = piece_of(p->baseline_metres, p->baseline_checksum, sizeof(double), index);
        pieces[count++] = piece_of(p->fx_pixels, p->fx_checksum, sizeof(double), index);
    }
    return count;
}

/* Reads a piece into the workspace and computes its checksum. */
static sm_status read_piece(sm_dataset_writer *writer, const piece *p, uint32_t *checksum)
{
    if (p->bytes > writer->room) {
        sm_free(writer->workspace);
        writer->workspace = sm_alloc(p->bytes);
        writer->room = p->bytes;
    }
    sm_status status = sm_file_pread(writer->file, writer->workspace, p->bytes, p->place);
    *checksum = status == SM_OK ? sm_crc32c(0, writer->workspace, p->bytes) : 0;
    return status;
}

sm_status sm_dataset_writer_digest(sm_dataset_writer *writer, int split, int64_t index, int verify, uint32_t *digest)
{
    sm_status status = SM_OK;
    piece pieces[PIECES_MAX];
    uint32_t checksums[PIECES_MAX];
    int count = list_pieces(writer, split, index, pieces);
    for (int p = 0; p < count; p++) {
        uint32_t found;
        SM_TRY(sm_file_pread(writer->file, &checksums[p], sizeof checksums[p], pieces[p].checksum));
        SM_TRY(verify ? read_piece(writer, &pieces[p], &found) : SM_OK);
        if (verify && found != checksums[p]) {
            SM_TRY(sm_fail(SM_ERR_INPUT, "sample %lld is not whole", (long long)index));
        }
    }
    *digest = sm_crc32c(0, checksums, (size_t)count * sizeof *checksums);
done:
    return status;
}

sm_status sm_dataset_writer_copy(sm_dataset_writer *from, int from_split, int64_t from_index, sm_dataset_writer *to,
                                 int to_split, int64_t to_index)
{
    sm_status status = SM_OK;
    piece source[PIECES_MAX], target[PIECES_MAX];
    int count = list_pieces(from, from_split, from_index, source);
    list_pieces(to, to_split, to_index, target);
    for (int p = 0; p < count; p++) {
        uint32_t checksum;
        SM_TRY(read_piece(from, &source[p], &checksum));
        SM_TRY(sm_file_pwrite(to->file, from->workspace, target[p].bytes, target[p].place));
        SM_TRY(sm_file_pwrite(to->file, &checksum, sizeof checksum, target[p].checksum));
    }
done:
    return status;
}
