/* SPDX-License-Identifier: MIT */
#include "zip/own_tasks.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static size_t entry_count(const char *path) {
    size_t count = 0;
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

size_t own_task_count(void) {
    return entry_count("/proc/self/task");
}

size_t own_descriptor_count(void) {
    return entry_count("/proc/self/fd") - 1;
}

void assert_own_tasks(size_t expected) {
    for (int tries = 0; tries < 2000 && own_task_count() != expected; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    assert_int_equal(own_task_count(), expected);
}
