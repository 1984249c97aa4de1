/** \file
 * Files and folders. Every message names the path and the system's reason (SM_ERR_IO; SM_ERR_WRITE once it is being written), or what is wrong inside the file (SM_ERR_INPUT). Not collective; thread-safe unless two threads write the same path. */
#ifndef SIGMATIC_IO_FILE_H
#define SIGMATIC_IO_FILE_H

#include <sigmatic/base/status.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** \return 1 if something (file, folder, ...) is at `path`. */
int sm_file_exists(const char *path);

/** \return 1 if both words name one file, by links too; 0 also if one of them is not there. */
int sm_file_is_same(const char *path, const char *other);

/** \return 1 if `path` is a folder (or a link to one). */
int sm_folder_exists(const char *path);

/** Size of a regular file. */
sm_status sm_file_size(const char *path, uint64_t *bytes);

/** \return a number for size and time of last change of a file, mixed into `stamp`; alike for all that is not there. */
uint64_t sm_file_stamp(uint64_t stamp, const char *path);

/** Makes a folder and those above it; existing ones are fine. */
sm_status sm_make_folders(const char *path);

/** Makes the folder that `path` will lie in, and those above it. */
sm_status sm_make_folder_of(const char *path);

/** Removes a file, or a folder with all it holds (links are not followed). Nothing there is fine. */
sm_status sm_remove_tree(const char *path);

/** Names in a folder (not "." and ".."), sorted by byte value.
 * \param [out] names  `count` strings in one block: one sm_free(names) frees them all */
sm_status sm_folder_list(const char *path, char ***names, size_t *count);

/** A whole file into memory.
 * \param [out] data   `bytes` bytes and a zero behind them, freed with sm_free() */
sm_status sm_file_read(const char *path, void **data, size_t *bytes);

/** A whole text file; one that holds a zero byte is refused as "not a text file". Freed with sm_free(). */
sm_status sm_file_read_text(const char *path, char **text);

/** Writes a file so that `path` holds either the old or the new contents, also after a crash: temporary file in the same folder, fsync, rename, fsync of the folder. On failure (disk full) the temporary file is removed. */
sm_status sm_file_write_atomic(const char *path, const void *data, size_t bytes);

/** \return 1 if `name` is that of a temporary file which a killed sm_file_write_atomic() left: the first `length` characters of it are the file's own. */
int sm_file_is_unfinished(const char *name, size_t length);

/** Tells before the work whether sm_file_write_atomic() could write `path`: makes its folder, and a file there that is removed at once. */
sm_status sm_file_check_writable(const char *path);

/** Tells before the work whether a new file may take the place of what is at `path`: nothing, or a regular file of the same kind.
 * \param is_own  whether that file is of the kind, 0 also for what it cannot read
 * \param kind    the kind's name for messages, "predictions file"
 * \return SM_ERR_USAGE for anything else: a folder, a device, a link (which a rename would replace, not what it leads to), another file */
sm_status sm_file_check_replaceable(const char *path, int (*is_own)(const char *path), const char *kind);

/** \return 1 if a file can be read and begins with `text`. */
int sm_file_begins_with(const char *path, const char *text);

/** Moves what is at `from` to `to` in the same file system, replacing a file there, and syncs the folder of `to`. */
sm_status sm_file_rename(const char *from, const char *to);

/** An open file; keeps its path for messages. */
typedef struct sm_file sm_file;

/** Opens an existing regular file to read from (pread). */
sm_status sm_file_open_read(const char *path, sm_file **out);

/** Opens an existing regular file to write into (pwrite); contents and size stay. */
sm_status sm_file_open_write(const char *path, sm_file **out);

/** Makes an empty file to write into and read from, in place of one at `path`. */
sm_status sm_file_create(const char *path, sm_file **out);

/** Copies the contents of a regular file to `to`, replacing a file there; a file system that can lets both share their blocks. Not atomic, not synced.
 * \return SM_ERR_IO of `from`; SM_ERR_WRITE of `to`, which may then be there in part */
sm_status sm_file_copy(const char *from, const char *to);

/** Takes the file as a lock, making it if need be: until sm_file_close(), or the end of the process however it comes, no other process gets it.
 * \return SM_ERR_USAGE if another process has it. Not on file systems that know no locks: there everybody gets it. */
sm_status sm_file_lock(const char *path, sm_file **out);

/** Looks without taking it, but that sm_file_lock() may have to try again for an instant; nothing is written.
 * \return 1 if a process has it, 0 if none has; -1 if nobody can know: no such file, or a file system without locks */
int sm_file_is_locked(const char *path);

/** Reads exactly `bytes` bytes from position `offset`. A file that ends earlier is SM_ERR_INPUT "truncated". Any thread. */
sm_status sm_file_pread(const sm_file *file, void *data, size_t bytes, uint64_t offset);

/** \return 1 if somebody has written to the file, cut or lengthened it since it was opened. Another one that has taken its name is not looked at: this one is still read. */
int sm_file_has_changed(const sm_file *file);

/** Asks the system to keep nothing of a file in memory that it could read again: for measurements. It may have reasons not to. */
sm_status sm_file_drop_cache(const char *path);

/** Writes exactly `bytes` bytes at position `offset`; disk full and the like are SM_ERR_WRITE. Any thread. */
sm_status sm_file_pwrite(sm_file *file, const void *data, size_t bytes, uint64_t offset);

/** Gives the file this size: what is behind it is lost. */
sm_status sm_file_cut(sm_file *file, uint64_t bytes);

/** Waits until what was written is on the disk. */
sm_status sm_file_sync(sm_file *file);

/** NULL is legal. Delayed write errors show in sm_file_sync(), which writers call before. */
void sm_file_close(sm_file *file);

#ifdef __cplusplus
}
#endif
#endif
