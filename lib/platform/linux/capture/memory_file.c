/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/memory_file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

/* The kernel reads the file in pieces of a page, beginning where it is asked to. Off the begin of a
 * page each would lie in two, and each page be looked up twice: half as long again for all of it.
 */
static ssize_t read_step(int file, uint64_t address, unsigned char *to, size_t length,
                         size_t rest_of_page) {
    bool is_off = rest_of_page != PAGE_BYTES && length > rest_of_page;
    ssize_t got;
    do
        got = pread(file, to, is_off ? rest_of_page : length, (off_t)address);
    while (got < 0 && errno == EINTR);
    return got;
}

pi_memory_reading pi_memory_file_read(int file, uint64_t address, unsigned char *to,
                                      size_t length) {
    pi_memory_reading reading = PI_MEMORY_READ_WELL;
    while (length != 0) {
        size_t rest_of_page = PAGE_BYTES - (size_t)(address % PAGE_BYTES);
        ssize_t got = read_step(file, address, to, length, rest_of_page);
        if (got == 0) /* the file's end */
            return PI_MEMORY_READ_NOTHING;
        size_t done = got > 0 ? (size_t)got : rest_of_page;
        if (got < 0) {
            done = done < length ? done : length;
            memset(to, 0, done);
            reading = PI_MEMORY_READ_IN_PART;
        }
        address += done;
        to += done;
        length -= done;
    }
    return reading;
}
