/** \file
 * Rank-aware messages to standard error, and results to standard output. Information and results come from rank 0 only;
 * warnings and errors name their rank. */
#ifndef SIGMATIC_BASE_LOG_H
#define SIGMATIC_BASE_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

/** Tells the log who it speaks for; 0 of 1 until called. */
void sm_log_set_rank(int rank, int size);

/** Silences information and results (not warnings and errors). */
void sm_log_set_quiet(int quiet);

/** Printed by rank 0 only, one line, newline added. */
void sm_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** What the program was started for, to standard output: printed by rank 0 only, one line, newline added. */
void sm_log_result(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Printed by any rank: "sigmatic: warning: ..." ("rank 3: " in front if there are several). */
void sm_log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Printed by any rank: "sigmatic: error: ..." */
void sm_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** What ended the program, once for all ranks (rank 0 prints): an error that sm_comm_agree() made everyone's. */
void sm_log_outcome(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** A live line: on a terminal it overwrites itself, elsewhere it is a plain line. Rank 0 only. `final` ends the line. */
void sm_log_progress(int final, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** \return 1 if progress overwrites itself (standard error is a terminal), so that callers can choose how often to report. */
int sm_log_is_live(void);

#ifdef __cplusplus
}
#endif
#endif
