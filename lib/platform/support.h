/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_SUPPORT_H
#define PI_PLATFORM_SUPPORT_H

#include <procinspect/error.h>
#include <procinspect/module.h>

#include "model/elf.h"
#include "model/support_rules.h"
#include "platform/platform.h"

/*
 * Files that a debugger needs beside a dump (model/support_rules.h): part of the contract of
 * platform.h. A debugger runs what such a file holds, and the process that it is found from may be
 * hostile. So what counts is the host's own file system, and there only what root alone can write;
 * what the process's own file system has, where that is another, is asked for separately.
 */

/* What has to be known of a process while it lives. Immutable; shared between threads. */
typedef struct pi_support_origin pi_support_origin;

/* NO_MEMORY is the only failure: what can't be found out is a reason to trust less. */
int32_t pi_support_origin_open(const pi_process *process, pi_support_origin **origin,
                               procinspect_error *error);
void pi_support_origin_close(pi_support_origin *origin); /* NULL does nothing */

/* One look for the files of a process's modules; the origin must outlive it. */
typedef struct pi_support_search pi_support_search;

/* from_target: also in the process's own file system. NO_MEMORY is the only failure. */
int32_t pi_support_search_open(const pi_support_origin *origin, bool from_target,
                               pi_support_search **search, procinspect_error *error);
void pi_support_search_close(pi_support_search *search); /* NULL does nothing */

typedef enum pi_support_answer {
    PI_SUPPORT_FOUND,
    PI_SUPPORT_ABSENT, /* it isn't there */
    PI_SUPPORT_REFUSED /* it is there, or may be, and isn't to be had */
} pi_support_answer;

enum { PI_SUPPORT_PATH_SIZE = 4096, PI_SUPPORT_TEXT_SIZE = 600 };

typedef struct pi_support_file {
    pi_support_answer answer;
    bool from_target;
    bool is_seen;                    /* something of that name is there */
    char path[PI_SUPPORT_PATH_SIZE]; /* of the file, else where it was looked for first */
    char text[PI_SUPPORT_TEXT_SIZE]; /* why it wasn't found; UTF-8 */
    uint64_t size_bytes;
    unsigned char build_id[PI_ELF_MAX_BUILD_ID];
    size_t build_id_length; /* 0: it has none */
    int descriptor;         /* FOUND: the caller's, else -1 */
    int64_t changed_ns[2];  /* for pi_support_file_check */
} pi_support_file;

/* The file that the rule wants for this module, of at most max_bytes. */
void pi_support_find(pi_support_search *search, const pi_support_rule *rule,
                     const procinspect_module_info *module, uint64_t max_bytes,
                     pi_support_file *file);

/* Bytes of a file that was found: *length 0 at the end of what it was then, also where it has
 * become shorter or can't be read on; NULL, else a reason. */
const char *pi_support_file_read(const pi_support_file *file, uint64_t offset, void *buffer,
                                 size_t capacity, size_t *length);
/* Whether it still is as it was found; NULL, else a reason. */
const char *pi_support_file_check(const pi_support_file *file);

#endif
