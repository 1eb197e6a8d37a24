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
 * know; where its stack does, which is another place for each program; and the last thing that
 * execve sets. */
enum {
    FIELD_STATE = 3,
    FIELD_MEMORY = 23,
    FIELD_START_CODE = 26,
    FIELD_START_STACK = 28,
    FIELD_ENVIRONMENT_END = 51
};

typedef struct program_fields {
    uint64_t memory;
    uint64_t start_code;
    uint64_t start_stack;
    uint64_t environment_end;
} program_fields;

/* False where the line is none of stat's. */
static bool take_fields(const char *bytes, size_t length, program_fields *fields) {
    const char *end = bytes + length;
    const char *at = memrchr(bytes, ')', length);
    if (at == NULL || end - at < 2)
        return false;
    at += 2;
    for (int field = FIELD_STATE; field <= FIELD_ENVIRONMENT_END; field++) {
        const char *field_end = memchr(at, ' ', (size_t)(end - at));
        uint64_t *value = field == FIELD_MEMORY            ? &fields->memory
                          : field == FIELD_START_CODE      ? &fields->start_code
                          : field == FIELD_START_STACK     ? &fields->start_stack
                          : field == FIELD_ENVIRONMENT_END ? &fields->environment_end
                                                           : NULL;
        if (field_end == NULL ||
            (value != NULL && !pi_parse_u64_whole(at, (size_t)(field_end - at), 10, value)))
            return false;
        at = field_end + 1;
    }
    return true;
}

static bool are_starting(const program_fields *fields) {
    return fields->memory != 0 && fields->start_code != 1 && fields->environment_end == 0;
}

bool pi_stat_is_starting_program(const char *bytes, size_t length) {
    program_fields fields;
    return take_fields(bytes, length, &fields) && are_starting(&fields);
}

pi_program_look pi_program_look_at(int directory, const char *stat_path) {
    pi_stat_text text;
    pi_stat stat;
    program_fields fields;
    ssize_t length = pi_proc_read_once(directory, stat_path, text.bytes, sizeof text.bytes);
    if (length <= 0 || !pi_stat_parse(text.bytes, (size_t)length, &stat) ||
        !take_fields(text.bytes, (size_t)length, &fields))
        return (pi_program_look){0};
    /* An end that has begun may take the memory away between two looks. */
    bool lives = !stat.is_kernel_thread && !stat.has_begun_to_end && !pi_stat_is_dead(&stat);
    return (pi_program_look){lives && are_starting(&fields), fields.start_stack};
}

bool pi_program_stood(pi_program_look before, pi_program_look after) {
    return !before.is_starting && !after.is_starting && before.start_stack == after.start_stack;
}

void pi_program_start_pause(void) {
    nanosleep(&(struct timespec){.tv_nsec = LOOK_INTERVAL_NS}, NULL);
}

int pi_program_file_read(int directory, const char *stat_path, const char *path, size_t limit,
                         pi_buffer *buffer) {
    for (int look = 0; look < PI_PROGRAM_START_LOOKS; look++) {
        pi_program_look before = pi_program_look_at(directory, stat_path);
        int result = pi_proc_read_bytes(directory, path, buffer, limit);
        if (result != 0 || buffer->length != 0 ||
            pi_program_stood(before, pi_program_look_at(directory, stat_path)))
            return result;
        pi_program_start_pause();
    }
    return -EBUSY;
}
