#include <sigmatic/base/log.h>
#include <sigmatic/base/memory.h>
#include <sigmatic/io/file.h>
#include <sigmatic/train/run_log.h>

#include "train/run_journal.h"
#include "train/run_log_file.h"

/* \return 1 if there are rows in a journal */
static int read_late_rows(const char *journal, int64_t *start, sm_run_table *rows)
{
    sm_status status = sm_file_exists(journal) ? sm_run_journal_read(journal, start, rows) : SM_OK;
    if (status != SM_OK && sm_file_exists(journal)) { /* not one that has just gone, as its run ended */
        sm_log_warning("the latest rows are not shown: %s", sm_error_message());
    }
    return status == SM_OK && (rows[SM_RUN_STEPS].waiting > 0 || rows[SM_RUN_EVALUATIONS].waiting > 0);
}

/* The log in memory, with the rows behind its own; of another start's journal it has none. */
static sm_status open_extended(const char *path, int64_t start, const sm_run_table *rows, sm_h5 **out)
{
    sm_status status = SM_OK;
    sm_h5 *file = NULL;
    int added;
    SM_TRY(sm_h5_open_copy(path, &file));
    int64_t log_start = sm_run_log_file_read_start(file);
    for (int t = 0; t < SM_RUN_TABLES && (log_start == 0 || log_start == start); t++) {
        SM_TRY(rows[t].waiting > 0 ? sm_run_table_append(file, &rows[t], &added) : SM_OK);
    }
    *out = file;
    file = NULL;
done:
    sm_h5_close(file);
    return status;
}

/* First the journal: rows that leave it in between are in the file that is opened behind it. */
sm_status sm_run_log_read(const char *path, sm_h5 **out)
{
    sm_status status = SM_OK;
    int64_t start = 0;
    sm_run_table rows[SM_RUN_TABLES] = {0};
    sm_h5 *file = NULL;
    char *journal = sm_run_log_file_journal(path);
    int has_late = read_late_rows(journal, &start, rows);
    SM_TRY(sm_h5_open(path, &file));
    if (has_late) {
        sm_h5 *extended = NULL;
        if (open_extended(path, start, rows, &extended) == SM_OK) {
            sm_h5_close(file);
            file = extended;
        } else {
            sm_log_warning("the rows of %s are not shown: %s", journal, sm_error_message());
        }
    }
    *out = file;
done:
    for (int t = 0; t < SM_RUN_TABLES; t++) {
        sm_run_table_clear(&rows[t]);
    }
    sm_free(journal);
    return status;
}
