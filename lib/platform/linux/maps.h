/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_MAPS_H
#define PI_PLATFORM_LINUX_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The text of /proc/PID/maps. Everything here computes and nothing else: no allocation, no stdio,
 * no errno, no locks, so that it can run in a helper process while the host's threads stand still.
 */

enum {
    PI_MAPPING_READ = 0x1,
    PI_MAPPING_WRITE = 0x2,
    PI_MAPPING_EXECUTE = 0x4,
    PI_MAPPING_SHARED = 0x8
};

typedef struct pi_mapping {
    uint64_t start;
    uint64_t end;    /* behind the last byte; more than start */
    uint64_t offset; /* in the file */
    uint64_t inode;  /* 0: no file */
    uint32_t device_major;
    uint32_t device_minor;
    uint32_t permissions; /* PI_MAPPING_… */
    /* The name ends with " (deleted)": the kernel's mark, unless the file is called so. */
    bool is_marked_deleted;
    /* As it stands in the text, escapes and mark included; a file's starts with a slash. Not
     * terminated; empty where there is none. */
    const char *path;
    size_t path_length;
} pi_mapping;

/* A position in the text; initialise with {bytes, bytes + length}. */
typedef struct pi_maps_cursor {
    const char *next;
    const char *end;
} pi_maps_cursor;

/* The next mapping; false at the end of the text. What is no whole line of maps is passed over, and
 * so is a last line without its newline: it was cut. */
bool pi_maps_next(pi_maps_cursor *cursor, pi_mapping *mapping);

/* Length of the path without " (deleted)". */
size_t pi_mapping_path_length_without_mark(const pi_mapping *mapping);

/* True where the path is exactly this text: "[stack]", say. A file never is. */
bool pi_mapping_is_named(const pi_mapping *mapping, const char *name);

/*
 * Copies a path, its newlines restored: the kernel writes them as \012, and nothing else so. (A
 * backslash is not escaped: a file whose name really contains \012 can't be told apart here.) `to`
 * has room for length bytes and may be `path` itself. Returns how many bytes the result has.
 */
size_t pi_maps_unescape(char *to, const char *path, size_t length);

#endif
