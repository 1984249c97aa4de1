#include "cli/data_sheet.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/data/target_picture.h>
#include <sigmatic/io/file.h>
#include <sigmatic/io/image.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL_WIDTH = 256, GAP = 4, MOST_COLUMNS = 1 + SM_TARGETS_MAX };

/* Rows are samples; columns the input and every target of scope pixel that some split has, by name. */
typedef struct contact_sheet {
    const split_statistics *splits;
    size_t split_count;
    const char *columns[MOST_COLUMNS];
    int column_count, row_count, cell_height, most_samples;
    uint8_t *rgb; /* of the sheet */
    int height, width;
} contact_sheet;

static int rows_of(const contact_sheet *sheet, size_t split)
{
    int64_t count = sm_dataset_count(sheet->splits[split].dataset);
    return (int)(count < sheet->most_samples ? count : sheet->most_samples);
}

/* The first and the last, and between them as evenly as can be. */
static int64_t sample_of_row(const contact_sheet *sheet, size_t split, int row)
{
    int64_t last = sm_dataset_count(sheet->splits[split].dataset) - 1;
    int rows = rows_of(sheet, split);
    return rows > 1 ? row * last / (rows - 1) : 0;
}

static void add_column(contact_sheet *sheet, const char *name)
{
    for (int i = 0; i < sheet->column_count; i++) {
        if (strcmp(sheet->columns[i], name) == 0) {
            return;
        }
    }
    if (sheet->column_count < MOST_COLUMNS) {
        sheet->columns[sheet->column_count++] = name;
    }
}

static contact_sheet sheet_of(const split_statistics *splits, size_t split_count, int most_samples)
{
    contact_sheet sheet = {.splits = splits, .split_count = split_count, .most_samples = most_samples};
    double tallest = 0;
    for (size_t s = 0; s < split_count; s++) {
        const sm_input *input = sm_dataset_input(splits[s].dataset);
        tallest = fmax(tallest, (double)input->height / input->width);
        sheet.row_count += rows_of(&sheet, s);
        add_column(&sheet, input->kind->name);
    }
    for (size_t s = 0; s < split_count; s++) {
        for (int t = 0; t < splits[s].target_count; t++) {
            if (splits[s].targets[t].target->scope == SM_SCOPE_PIXEL) {
                add_column(&sheet, splits[s].targets[t].target->name);
            }
        }
    }
    sheet.cell_height = (int)fmin(fmax(round(CELL_WIDTH * tallest), 1), 4 * CELL_WIDTH);
    sheet.width = sheet.column_count * (CELL_WIDTH + GAP) + GAP;
    sheet.height = sheet.row_count * (sheet.cell_height + GAP) + GAP;
    return sheet;
}

/* The nearest pixel is taken: colours of classes do not mix, and a picture shows what is stored. */
static void paste(contact_sheet *sheet, int row, int column, const uint8_t *rgb, int height, int width)
{
    double scale = fmin((double)CELL_WIDTH / width, (double)sheet->cell_height / height);
    int out_width = (int)fmax(floor(width * scale), 1), out_height = (int)fmax(floor(height * scale), 1);
    int left = GAP + column * (CELL_WIDTH + GAP), top = GAP + row * (sheet->cell_height + GAP);
    for (int y = 0; y < out_height; y++) {
        for (int x = 0; x < out_width; x++) {
            size_t from = (size_t)(y * height / out_height) * (size_t)width + (size_t)(x * width / out_width);
            size_t to = (size_t)(top + y) * (size_t)sheet->width + (size_t)(left + x);
            memcpy(sheet->rgb + 3 * to, rgb + 3 * from, 3);
        }
    }
}

static const target_statistics *statistics_of(const split_statistics *split, const char *name)
{
    for (int t = 0; t < split->target_count; t++) {
        if (strcmp(split->targets[t].target->name, name) == 0) {
            return &split->targets[t];
        }
    }
    return NULL;
}

static void draw_row(contact_sheet *sheet, int row, const split_statistics *split, const sm_sample *sample)
{
    uint8_t *rgb = sm_alloc((size_t)sample->height * (size_t)sample->width * 3);
    paste(sheet, row, 0, sample->input, sample->height, sample->width);
    for (int c = 1; c < sheet->column_count; c++) {
        const sm_target_view *view = sm_sample_find(sample, sheet->columns[c]);
        const target_statistics *s = statistics_of(split, sheet->columns[c]);
        if (view && s) {
            sm_target_picture(view->target, sample->height, sample->width, view->data, s->least, s->most, rgb);
            paste(sheet, row, c, rgb, sample->height, sample->width);
        }
    }
    sm_free(rgb);
}

static sm_status draw_split(contact_sheet *sheet, size_t s, int first_row)
{
    sm_status status = SM_OK;
    const split_statistics *split = &sheet->splits[s];
    sm_sample_storage *storage = sm_sample_storage_new(split->dataset);
    for (int row = 0; row < rows_of(sheet, s); row++) {
        int64_t index = sample_of_row(sheet, s, row);
        sm_sample sample;
        if (split->input_crc[index] >= 0) { /* it can be read; if not, its row stays grey */
            SM_TRY(sm_dataset_read(split->dataset, index, storage, &sample));
            draw_row(sheet, first_row + row, split, &sample);
        }
    }
done:
    sm_sample_storage_free(storage);
    return status;
}

static int is_png(const char *path)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t head[sizeof signature] = {0};
    FILE *file = fopen(path, "rb");
    size_t read = file ? fread(head, 1, sizeof head, file) : 0;
    if (file) {
        fclose(file);
    }
    return read == sizeof head && memcmp(head, signature, sizeof head) == 0;
}

sm_status data_sheet_check(const char *path)
{
    sm_status status = sm_file_check_replaceable(path, is_png, "PNG picture");
    return status == SM_OK ? sm_file_check_writable(path) : status;
}

sm_status data_sheet_write(const split_statistics *splits, size_t split_count, int most_samples, const char *path)
{
    sm_status status = SM_OK;
    contact_sheet sheet = sheet_of(splits, split_count, most_samples);
    size_t bytes = (size_t)sheet.height * (size_t)sheet.width * 3;
    int row = 0;
    sheet.rgb = sm_alloc(bytes);
    memset(sheet.rgb, 96, bytes);
    for (size_t s = 0; s < split_count; s++) {
        SM_TRY(draw_split(&sheet, s, row));
        row += rows_of(&sheet, s);
    }
    const sm_image image = {sheet.height, sheet.width, 3, 8, sheet.rgb};
    SM_TRY(sm_image_write_png(&image, path));
done:
    sm_free(sheet.rgb);
    return status;
}

void data_sheet_describe(const split_statistics *splits, size_t split_count, int most_samples, const char *path)
{
    contact_sheet sheet = sheet_of(splits, split_count, most_samples);
    printf("%s: columns", path);
    for (int c = 0; c < sheet.column_count; c++) {
        printf("%s %s", c == 0 ? "" : " |", sheet.columns[c]);
    }
    printf("\n");
    for (size_t s = 0, row = 1; s < split_count; s++) {
        for (int r = 0; r < rows_of(&sheet, s); r++, row++) {
            printf("  row %2zu: %s %s\n", row, splits[s].name,
                   sm_dataset_name(splits[s].dataset, sample_of_row(&sheet, s, r)));
        }
    }
}
