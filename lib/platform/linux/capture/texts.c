/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "platform/linux/capture/parts.h"

enum {
    REFUSED_ATTEMPTS = 3,
    SMALL_TEXT_BYTES = 64 * 1024,
    CPU_INFO_BYTES = 4 * 1024 * 1024,
    COMMAND_LINE_BYTES = 1024 * 1024,
    ENVIRONMENT_BYTES = 4 * 1024 * 1024
};

/* Where a text comes from: the first of the files that can be read. */
typedef struct text_source {
    pi_system_text text;
    enum { OF_PROCESS, OF_THREAD, OF_PROC, OF_HOST } place;
    const char *files[2];
    size_t limit_bytes;
} text_source;

/* The auxiliary vector first: it tells one program from the next, so that whatever is read between
 * this look at it and the one while the process stands is of the same program. */
static const text_source sources[] = {
    {PI_TEXT_AUXILIARY_VECTOR, OF_THREAD, {"auxv", NULL}, PI_HOLD_AUXV_BYTES},
    {PI_TEXT_CPU_INFO, OF_PROC, {"cpuinfo", NULL}, CPU_INFO_BYTES},
    {PI_TEXT_STATUS, OF_PROCESS, {"status", NULL}, SMALL_TEXT_BYTES},
    {PI_TEXT_OS_RELEASE, OF_HOST, {"/etc/lsb-release", "/etc/os-release"}, SMALL_TEXT_BYTES},
    {PI_TEXT_COMMAND_LINE, OF_THREAD, {"cmdline", NULL}, COMMAND_LINE_BYTES},
    {PI_TEXT_ENVIRONMENT, OF_THREAD, {"environ", NULL}, ENVIRONMENT_BYTES},
    {PI_TEXT_LIMITS, OF_PROCESS, {"limits", NULL}, SMALL_TEXT_BYTES},
};

/* The texts of one process while they are read. */
typedef struct text_reader {
    const pi_process *process;
    const pi_process *files; /* those of a living thread: living.h */
    pi_arena *arena;
    pi_capture_notes *notes;
    procinspect_error *error;
    pi_buffer buffer;
} text_reader;

static int directory_of(const text_reader *reader, const text_source *source) {
    switch (source->place) {
    case OF_PROCESS:
        return reader->process->directory;
    case OF_THREAD:
        return reader->files->directory;
    case OF_PROC:
        return reader->process->system->proc;
    case OF_HOST:
        break;
    }
    return AT_FDCWD; /* its paths are absolute */
}

/* os-release is a link on most systems, which the readers for /proc don't follow. */
static int read_following_links(const char *path, pi_buffer *buffer, size_t limit) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    int result = pi_read_descriptor(file, buffer, limit);
    pi_close(file);
    return result;
}

static int read_first(text_reader *reader, const text_source *source) {
    int result = -ENOENT;
    for (size_t i = 0; i < 2 && source->files[i] != NULL && result != 0; i++)
        result =
            source->place == OF_HOST
                ? read_following_links(source->files[i], &reader->buffer, source->limit_bytes + 1)
                : pi_read_file_at(directory_of(reader, source), source->files[i], &reader->buffer,
                                  source->limit_bytes + 1);
    return result;
}

static bool has_ended(const pi_process *files) {
    pi_stat_text text;
    pi_stat stat;
    return pi_stat_read(files->directory, "stat", &text, &stat) != 0 || pi_stat_is_dead(&stat) ||
           stat.has_begun_to_end;
}

/*
 * The kernel calls root the owner of the files of a thread that has ended, of a main thread too
 * that another one replaces in execve: for that moment they are refused to their own user. That is
 * no refusal but the end of this attempt, -ESRCH. Where the moment is over already, they are read.
 */
static int read_unless_ended(text_reader *reader, const text_source *source) {
    int result = read_first(reader, source);
    for (int i = 0; i < REFUSED_ATTEMPTS && source->place == OF_THREAD && result == -EACCES; i++) {
        if (has_ended(reader->files))
            return -ESRCH;
        result = read_first(reader, source);
    }
    return result;
}

/* One byte more than the limit was asked for, to tell whether there is more. False when out of
 * memory.
 */
static bool cut(text_reader *reader, const text_source *source) {
    if (reader->buffer.length <= source->limit_bytes)
        return true;
    reader->buffer.length = source->limit_bytes;
    return pi_capture_note(reader->notes, PROCINSPECT_DUMP_NOTE_SHORTENED, 0,
                           "%s is in the dump with its first %zu KiB.", source->files[0],
                           source->limit_bytes >> 10);
}

static int32_t read_text(text_reader *reader, const text_source *source, pi_bytes *text) {
    int result = read_unless_ended(reader, source);
    bool is_of_target = source->place == OF_PROCESS || source->place == OF_THREAD;
    if (result == -ENOMEM)
        return pi_error_no_memory(reader->error);
    /* Not a file that is missing, but a process that is about to. */
    if (is_of_target && (result == -ESRCH || result == -ENOENT))
        return pi_process_failed(reader->process, source->files[0], -result, reader->error);
    if (result != 0)
        return pi_capture_note(reader->notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0,
                               "%s could not be read: %s.", source->files[0],
                               strerrordesc_np(-result))
                   ? PROCINSPECT_OK
                   : pi_capture_exhausted(reader->arena, reader->error);
    if (!cut(reader, source))
        return pi_capture_exhausted(reader->arena, reader->error);
    const char *copy = pi_arena_copy(reader->arena, reader->buffer.data, reader->buffer.length);
    if (copy == NULL)
        return pi_capture_exhausted(reader->arena, reader->error);
    *text = (pi_bytes){copy, reader->buffer.length};
    return PROCINSPECT_OK;
}

int32_t pi_capture_read_texts(const pi_process *process, const pi_process *files, pi_arena *arena,
                              pi_bytes *texts, pi_capture_notes *notes, procinspect_error *error) {
    text_reader reader = {
        .process = process, .files = files, .arena = arena, .notes = notes, .error = error};
    int32_t code = PROCINSPECT_OK;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0] && code == PROCINSPECT_OK; i++)
        code = read_text(&reader, &sources[i], &texts[sources[i].text]);
    pi_buffer_free(&reader.buffer);
    return code;
}
