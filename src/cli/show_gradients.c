#include "cli/show_gradients.h"

#include <sigmatic/base/memory.h>
#include <sigmatic/train/traps.h>

#include "cli/show_grid.h"

#include <math.h>
#include <stdio.h>

/* \return NaN too where the log has no such column */
static sm_status read_mean(const sm_h5 *file, const char *object, size_t rows, double *mean)
{
    sm_status status = SM_OK;
    sm_h5_info info;
    double *values = NULL;
    *mean = NAN;
    if (!sm_h5_has_dataset(file, object)) {
        return SM_OK;
    }
    SM_TRY(sm_h5_query(file, object, &info));
    size_t count = info.count < rows ? info.count : rows; /* a live log may be caught between two columns */
    values = sm_alloc((count + 1) * sizeof *values);
    SM_TRY(sm_h5_read_rows(file, object, SM_H5_DOUBLE, 0, count, 1, values));
    for (size_t i = 0; i < count; i++) {
        *mean = sm_trap_mean_share(*mean, values[i]);
    }
done:
    sm_free(values);
    return status;
}

static sm_status read_pair(const sm_h5 *file, show_view *view, size_t task, size_t other)
{
    char *object = sm_format("/gradient_cosines/%s/%s", view->tasks[task], view->tasks[other]);
    double *cosines = view->cosines;
    sm_status status = read_mean(file, object, view->rows, &cosines[task * view->task_count + other]);
    cosines[other * view->task_count + task] = cosines[task * view->task_count + other];
    sm_free(object);
    return status;
}

sm_status show_gradients_read(const sm_h5 *file, show_view *view)
{
    sm_status status = SM_OK;
    char *object = NULL;
    view->cosines = sm_alloc(view->task_count * view->task_count * sizeof *view->cosines);
    for (size_t i = 0; i < view->task_count; i++) {
        object = sm_format("/tasks/%s/gradient_norm", view->tasks[i]);
        SM_TRY(read_mean(file, object, view->rows, &view->curves[i].gradient_norm));
        sm_free(object);
        object = sm_format("/tasks/%s/gradient_share", view->tasks[i]);
        SM_TRY(read_mean(file, object, view->rows, &view->curves[i].gradient_share));
        sm_free(object);
        object = NULL;
        view->cosines[i * view->task_count + i] = isnan(view->curves[i].gradient_norm) ? NAN : 1;
        for (size_t other = i + 1; other < view->task_count; other++) {
            SM_TRY(read_pair(file, view, i, other));
        }
    }
done:
    sm_free(object);
    return status;
}

static int is_measured(const show_view *view)
{
    int found = 0;
    for (size_t i = 0; i < view->task_count; i++) {
        found |= !isnan(view->curves[i].gradient_norm);
    }
    return found;
}

void show_gradients_print(const show_view *view)
{
    show_grid grid = {.columns = (int)view->task_count + 3};
    if (!is_measured(view)) {
        return;
    }
    show_grid_text(&grid, "task");
    show_grid_text(&grid, "length");
    show_grid_text(&grid, "share, %");
    for (size_t i = 0; i < view->task_count; i++) {
        show_grid_text(&grid, view->tasks[i]);
    }
    for (size_t i = 0; i < view->task_count; i++) {
        show_grid_text(&grid, view->tasks[i]);
        show_grid_number(&grid, view->curves[i].gradient_norm, "");
        show_grid_number(&grid, 100 * view->curves[i].gradient_share, "");
        for (size_t other = 0; other < view->task_count; other++) {
            show_grid_number(&grid, view->cosines[i * view->task_count + other], "");
        }
    }
    printf("\ngradients at the shared representation: length, share by weight, cosines (means of the last "
           "measurements)\n");
    show_grid_print(&grid);
}

void show_gradients_set_json(sm_json *json, const show_view *view)
{
    for (size_t i = 0; i < view->task_count && is_measured(view); i++) {
        sm_json *task = sm_json_set_object(json, view->tasks[i]);
        sm_json_set_real(task, "norm", view->curves[i].gradient_norm);
        sm_json_set_real(task, "share", view->curves[i].gradient_share);
        sm_json *cosines = sm_json_set_object(task, "cosines");
        for (size_t other = 0; other < view->task_count; other++) {
            sm_json_set_real(cosines, view->tasks[other], view->cosines[i * view->task_count + other]);
        }
    }
}
