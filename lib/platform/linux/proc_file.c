/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/linux/linux.h"

bool pi_is_exhaustion(int os_errno) {
    return os_errno == EMFILE || os_errno == ENFILE || os_errno == ENOMEM;
}

static int open_file(int directory, const char *path, int flags) {
    int descriptor;
    do
        descriptor = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | flags);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

static ssize_t read_some(int descriptor, char *buffer, size_t capacity) {
    ssize_t got;
    do
        got = read(descriptor, buffer, capacity);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t pi_proc_read_once(int directory, const char *path, char *buffer, size_t capacity) {
    int descriptor = open_file(directory, path, 0);
    if (descriptor < 0)
        return -1;
    ssize_t got = read_some(descriptor, buffer, capacity);
    pi_close(descriptor);
    return got;
}

static int read_until_short(int descriptor, pi_buffer *buffer, size_t limit) {
    buffer->length = 0;
    for (;;) {
        size_t room = buffer->capacity - buffer->length;
        if (room > limit - buffer->length)
            room = limit - buffer->length;
        if (room == 0)
            return 0;
        ssize_t got = read_some(descriptor, buffer->data + buffer->length, room);
        if (got < 0)
            return -errno;
        buffer->length += (size_t)got;
        if ((size_t)got < room)
            return 0;
        if (buffer->length == buffer->capacity && buffer->length < limit) {
            int result = pi_buffer_reserve(buffer, buffer->capacity * 2);
            if (result != 0)
                return result;
        }
    }
}

int pi_proc_read_bytes(int directory, const char *path, pi_buffer *buffer, size_t limit) {
    int result = pi_buffer_reserve(buffer, 16 * 1024);
    if (result != 0)
        return result;
    int descriptor = open_file(directory, path, 0);
    if (descriptor < 0)
        return -errno;
    result = read_until_short(descriptor, buffer, limit);
    pi_close(descriptor);
    return result;
}

size_t pi_proc_number_path(char path[PI_NUMBER_PATH_SIZE], int32_t number, const char *file) {
    char digits[10];
    size_t count = 0;
    for (uint32_t rest = (uint32_t)number; count == 0 || rest != 0; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    char *to = path;
    while (count > 0)
        *to++ = digits[--count];
    size_t file_length = strlen(file);
    memcpy(to, file, file_length + 1);
    return (size_t)(to - path) + file_length;
}

/* As getdents64 gives it; glibc's struct dirent64 has a d_name of fixed size. */
typedef struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    unsigned char type;
    char name[];
} entry;

typedef struct number_collection {
    pi_numbers numbers;
    size_t capacity;
    size_t limit;
    bool is_sorted;
} number_collection;

static int add_number(number_collection *collection, int32_t number) {
    pi_numbers *numbers = &collection->numbers;
    if (numbers->count == collection->limit)
        return -E2BIG;
    if (numbers->count == collection->capacity) {
        size_t capacity = collection->capacity == 0 ? 1024 : collection->capacity * 2;
        int32_t *items = realloc(numbers->items, capacity * sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        numbers->items = items;
        collection->capacity = capacity;
    }
    if (numbers->count != 0 && numbers->items[numbers->count - 1] > number)
        collection->is_sorted = false;
    numbers->items[numbers->count++] = number;
    return 0;
}

static int add_entries(number_collection *collection, const char *buffer, size_t length) {
    for (size_t at = 0; at < length;) {
        const entry *each = (const entry *)(const void *)(buffer + at);
        uint64_t number;
        size_t name_length = strlen(each->name);
        bool is_padded = each->name[0] == '0' && name_length > 1; /* never the kernel's */
        if (!is_padded && pi_parse_u64_whole(each->name, name_length, 10, &number) &&
            number <= INT32_MAX) {
            int result = add_number(collection, (int32_t)number);
            if (result != 0)
                return result;
        }
        at += each->length;
    }
    return 0;
}

static int read_entries(int descriptor, number_collection *collection) {
    enum { CAPACITY = 64 * 1024 };
    char *buffer = malloc(CAPACITY);
    if (buffer == NULL)
        return -ENOMEM;
    int result;
    for (;;) {
        long got = syscall(SYS_getdents64, descriptor, buffer, CAPACITY);
        result = got < 0 ? -errno : add_entries(collection, buffer, (size_t)got);
        if (got <= 0 || result != 0)
            break;
    }
    free(buffer);
    return result;
}

static int compare_numbers(const void *left, const void *right) {
    int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

int pi_proc_read_numbers(int directory, const char *path, size_t limit, pi_numbers *numbers) {
    int descriptor = open_file(directory, path, O_DIRECTORY);
    if (descriptor < 0)
        return -errno;
    number_collection collection = {.limit = limit, .is_sorted = true};
    int result = read_entries(descriptor, &collection);
    pi_close(descriptor);
    if (result != 0) {
        free(collection.numbers.items);
        return result;
    }
    /* The kernel's order already, but not a recorded tree's. */
    if (!collection.is_sorted)
        qsort(collection.numbers.items, collection.numbers.count, sizeof(int32_t), compare_numbers);
    *numbers = collection.numbers;
    return 0;
}

int pi_stat_read(int directory, const char *path, pi_stat_text *text, pi_stat *stat) {
    ssize_t length = pi_proc_read_once(directory, path, text->bytes, sizeof text->bytes);
    if (length < 0)
        return -errno;
    return pi_stat_parse(text->bytes, (size_t)length, stat) ? 0 : -EBADMSG;
}
