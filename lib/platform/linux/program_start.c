/* SPDX-License-Identifier: MIT */
#include "platform/linux/program_start.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "platform/linux/linux.h"

const char pi_starting_reason[] = "The process is about to start another program (execve) and "
                                  "shows nothing of it yet; ask again.";

enum { LOOK_INTERVAL_NS = 1000000 };
/* proc(5) numbers them: the size of the memory; where the program's code begins, 1 where we may not
 * know; and the last thing that execve sets. */
enum { FIELD_STATE = 3, FIELD_MEMORY = 23, FIELD_START_CODE = 26, FIELD_ENVIRONMENT_END = 51 };

bool pi_stat_is_starting_program(const char *bytes, size_t length) {
    const char *end = bytes + length;
    const char *at = memrchr(bytes, ')', length);
    uint64_t memory = 0, start_code = 1, environment_end = 1;
    if (at == NULL || end - at < 2)
        return false;
    at += 2;
    for (int field = FIELD_STATE; field <= FIELD_ENVIRONMENT_END; field++) {
        const char *field_end = memchr(at, ' ', (size_t)(end - at));
        if (field_end == NULL)
            return false;
        size_t field_length = (size_t)(field_end - at);
        if (field == FIELD_MEMORY && !pi_parse_u64_whole(at, field_length, 10, &memory))
            return false;
        if (field == FIELD_START_CODE && !pi_parse_u64_whole(at, field_length, 10, &start_code))
            return false;
        if (field == FIELD_ENVIRONMENT_END &&
            !pi_parse_u64_whole(at, field_length, 10, &environment_end))
            return false;
        at = field_end + 1;
    }
    return memory != 0 && start_code != 1 && environment_end == 0;
}

bool pi_program_is_starting(int directory, const char *stat_path) {
    pi_stat_text text;
    pi_stat stat;
    ssize_t length = pi_proc_read_once(directory, stat_path, text.bytes, sizeof text.bytes);
    /* An end that has begun may take the memory away between two looks. */
    return length > 0 && pi_stat_parse(text.bytes, (size_t)length, &stat) &&
           !stat.is_kernel_thread && !stat.has_begun_to_end && !pi_stat_is_dead(&stat) &&
           pi_stat_is_starting_program(text.bytes, (size_t)length);
}

void pi_program_start_pause(void) {
    nanosleep(&(struct timespec){.tv_nsec = LOOK_INTERVAL_NS}, NULL);
}

int pi_program_file_read(int directory, const char *stat_path, const char *path, size_t limit,
                         pi_buffer *buffer) {
    for (int look = 0; look < PI_PROGRAM_START_LOOKS; look++) {
        /* Looked at first: what is empty behind a program's start is so. */
        bool was_starting = pi_program_is_starting(directory, stat_path);
        int result = pi_proc_read_bytes(directory, path, buffer, limit);
        if (result != 0 || buffer->length != 0 || !was_starting)
            return result;
        pi_program_start_pause();
    }
    return -EBUSY;
}
