/* SPDX-License-Identifier: MIT */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void pi_buffer_free(pi_buffer *buffer) {
    free(buffer->data);
    *buffer = (pi_buffer){0};
}

int pi_buffer_reserve(pi_buffer *buffer, size_t capacity) {
    if (capacity <= buffer->capacity)
        return 0;
    char *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int pi_read_descriptor(int descriptor, pi_buffer *buffer, size_t limit) {
    buffer->length = 0;
    int result = pi_buffer_reserve(buffer, 4096);
    while (result == 0) {
        size_t room = buffer->capacity - buffer->length;
        if (room > limit - buffer->length)
            room = limit - buffer->length;
        if (room == 0)
            return 0;
        ssize_t got = read(descriptor, buffer->data + buffer->length, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        buffer->length += (size_t)got;
        /* /proc answers what fits a page or the buffer; a read that left room isn't always the
         * last. */
        if (buffer->length == buffer->capacity)
            result = pi_buffer_reserve(buffer, buffer->capacity * 2);
    }
    return result;
}

int pi_read_file_at(int directory, const char *path, pi_buffer *buffer, size_t limit) {
    int descriptor;
    do
        descriptor = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0)
        return -errno;
    int result = pi_read_descriptor(descriptor, buffer, limit);
    close(descriptor);
    return result;
}

void pi_close(int descriptor) {
    int saved_errno = errno;
    if (descriptor >= 0)
        close(descriptor);
    errno = saved_errno;
}
