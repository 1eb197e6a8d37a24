/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_OPEN_FILE_H
#define PROCINSPECT_OPEN_FILE_H

#include <procinspect/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a descriptor refers to, by the kernel's name for it. */
enum {
    PROCINSPECT_OPEN_FILE_OTHER = 0, /* an anonymous inode: epoll, eventfd, timerfd, pidfd … */
    PROCINSPECT_OPEN_FILE_PATH = 1,  /* a file, directory or device with a path */
    PROCINSPECT_OPEN_FILE_SOCKET = 2,
    PROCINSPECT_OPEN_FILE_PIPE = 3
};

/* One open descriptor of a process: an entry of /proc/PID/fd. */
typedef struct procinspect_open_file {
    int32_t descriptor;
    uint32_t kind; /* PROCINSPECT_OPEN_FILE_… */
    /* The link's text: a path as the target sees it, or "socket:[inode]", "pipe:[inode]",
     * "anon_inode:[eventpoll]" …; an empty text for a path of more than 4095
     * bytes, which the kernel doesn't tell. */
    const char *name;
    const void *name_bytes; /* not repaired */
    size_t name_bytes_length;
} procinspect_open_file;

/* Open descriptors by ascending number. */
typedef struct procinspect_open_file_list {
    const procinspect_open_file *const *items;
    size_t count;
    int32_t pid; /* their process */
} procinspect_open_file_list;

/*
 * procinspect_open_file_list_read (process.h) gives a list that is the caller's, to be freed with
 * this. Errors: GONE, REPLACED, PERMISSION (needs ptrace read access to the process), IO, TOO_LARGE
 * (more than 1,048,576 descriptors), NO_MEMORY, NO_RESOURCES.
 */
PROCINSPECT_API void procinspect_open_file_list_free(const procinspect_open_file_list *list);

#ifdef __cplusplus
}
#endif

#endif
