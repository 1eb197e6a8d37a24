/* SPDX-License-Identifier: MIT */
#include "bench/raw_proc.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/bench.h"

typedef struct raw_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    unsigned char type;
    char name[];
} raw_entry;

enum { BUFFER_SIZE = 128 * 1024 };

static void read_file(int directory, const char *name, const char *file) {
    static char buffer[BUFFER_SIZE];
    char path[64];
    char *end = stpcpy(path, name);
    stpcpy(end, file);
    int descriptor = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    ssize_t length = read(descriptor, buffer, sizeof buffer);
    (void)length;
    close(descriptor);
}

static void read_link(int directory, const char *name, const char *file) {
    static char buffer[4096];
    char path[64];
    char *end = stpcpy(path, name);
    stpcpy(end, file);
    ssize_t length = readlinkat(directory, path, buffer, sizeof buffer);
    (void)length;
}

static size_t walk(const char *path, bool with_files) {
    static char buffer[64 * 1024];
    size_t count = 0;
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        bench_fail("%s can't be opened", path);
    for (;;) {
        long got = syscall(SYS_getdents64, directory, buffer, sizeof buffer);
        if (got <= 0)
            break;
        for (long at = 0; at < got;) {
            const raw_entry *entry = (const raw_entry *)(const void *)(buffer + at);
            at += entry->length;
            if (entry->name[0] < '0' || entry->name[0] > '9')
                continue;
            count++;
            read_file(directory, entry->name, "/stat");
            if (!with_files)
                continue;
            read_file(directory, entry->name, "/cmdline");
            read_file(directory, entry->name, "/environ");
            read_link(directory, entry->name, "/exe");
        }
    }
    close(directory);
    return count;
}

size_t raw_read_stats(const char *directory) {
    return walk(directory, false);
}

size_t raw_read_files(const char *directory) {
    return walk(directory, true);
}
