/* SPDX-License-Identifier: MIT */
#include "platform/linux/executable.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char mark[] = " (deleted)";
enum { MARK_LENGTH = sizeof mark - 1 };

/* Does the path, mark included, lead to the executable? Then its file is really called so. */
static bool is_name_of_file(int directory, const char *prefix, const char *path, size_t length) {
    char link[32], named[PI_EXECUTABLE_CAPACITY + 32];
    struct stat by_link, by_name;
    snprintf(link, sizeof link, "%sexe", prefix);
    snprintf(named, sizeof named, "%sroot%.*s", prefix, (int)length, path);
    return fstatat(directory, link, &by_link, 0) == 0 &&
           fstatat(directory, named, &by_name, 0) == 0 && by_link.st_dev == by_name.st_dev &&
           by_link.st_ino == by_name.st_ino;
}

int pi_executable_read(int directory, const char *prefix, char path[PI_EXECUTABLE_CAPACITY],
                       size_t *length) {
    char link[32];
    strcpy(stpcpy(link, prefix), "exe");
    ssize_t got = readlinkat(directory, link, path, PI_EXECUTABLE_CAPACITY);
    if (got < 0)
        return -errno;
    *length = (size_t)got;
    if (*length > MARK_LENGTH && memcmp(path + *length - MARK_LENGTH, mark, MARK_LENGTH) == 0 &&
        !is_name_of_file(directory, prefix, path, *length))
        *length -= MARK_LENGTH;
    return 0;
}
