/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "platform/linux/capture_parts.h"

enum {
    SMALL_TEXT_BYTES = 64 * 1024,
    CPU_INFO_BYTES = 4 * 1024 * 1024,
    COMMAND_LINE_BYTES = 1024 * 1024,
    ENVIRONMENT_BYTES = 4 * 1024 * 1024
};

/* Where a text comes from: the first of the files that can be read. */
typedef struct text_source {
    pi_system_text text;
    enum { OF_PROCESS, OF_PROC, OF_HOST } place;
    const char *files[2];
    size_t limit_bytes;
} text_source;

static const text_source sources[] = {
    {PI_TEXT_CPU_INFO, OF_PROC, {"cpuinfo", NULL}, CPU_INFO_BYTES},
    {PI_TEXT_STATUS, OF_PROCESS, {"status", NULL}, SMALL_TEXT_BYTES},
    {PI_TEXT_OS_RELEASE, OF_HOST, {"/etc/lsb-release", "/etc/os-release"}, SMALL_TEXT_BYTES},
    {PI_TEXT_COMMAND_LINE, OF_PROCESS, {"cmdline", NULL}, COMMAND_LINE_BYTES},
    {PI_TEXT_ENVIRONMENT, OF_PROCESS, {"environ", NULL}, ENVIRONMENT_BYTES},
    {PI_TEXT_AUXILIARY_VECTOR, OF_PROCESS, {"auxv", NULL}, PI_HOLD_AUXV_BYTES},
    {PI_TEXT_LIMITS, OF_PROCESS, {"limits", NULL}, SMALL_TEXT_BYTES},
};

static int directory_of(const pi_process *process, const text_source *source) {
    switch (source->place) {
    case OF_PROCESS:
        return process->directory;
    case OF_PROC:
        return process->system->proc;
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

static int read_first(const pi_process *process, const text_source *source, pi_buffer *buffer) {
    int result = -ENOENT;
    for (size_t i = 0; i < 2 && source->files[i] != NULL && result != 0; i++)
        result = source->place == OF_HOST
                     ? read_following_links(source->files[i], buffer, source->limit_bytes)
                     : pi_read_file_at(directory_of(process, source), source->files[i], buffer,
                                       source->limit_bytes);
    return result;
}

static int32_t read_text(const pi_process *process, const text_source *source, pi_buffer *buffer,
                         pi_arena *arena, pi_bytes *text, pi_capture_notes *notes,
                         procinspect_error *error) {
    int result = read_first(process, source, buffer);
    if (result == -ENOMEM)
        return pi_error_no_memory(error);
    /* Not a file that is missing, but a process that is about to. */
    if (source->place == OF_PROCESS && (result == -ESRCH || result == -ENOENT))
        return pi_process_failed(process, source->files[0], -result, error);
    if (result != 0)
        return pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0,
                               "%s could not be read: %s.", source->files[0],
                               strerrordesc_np(-result))
                   ? PROCINSPECT_OK
                   : pi_capture_exhausted(arena, error);
    const char *copy = pi_arena_copy(arena, buffer->data, buffer->length);
    if (copy == NULL)
        return pi_capture_exhausted(arena, error);
    *text = (pi_bytes){copy, buffer->length};
    return PROCINSPECT_OK;
}

int32_t pi_capture_read_texts(const pi_process *process, pi_arena *arena, pi_bytes *texts,
                              pi_capture_notes *notes, procinspect_error *error) {
    pi_buffer buffer = {0};
    int32_t code = PROCINSPECT_OK;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0] && code == PROCINSPECT_OK; i++)
        code =
            read_text(process, &sources[i], &buffer, arena, &texts[sources[i].text], notes, error);
    pi_buffer_free(&buffer);
    return code;
}
