/* SPDX-License-Identifier: MIT */
#ifndef PI_API_ZIP_SUPPORT_H
#define PI_API_ZIP_SUPPORT_H

#include <procinspect/zip_manifest.h>

#include "base/arena.h"
#include "platform/support.h"
#include "zip/zip.h"

/* The debugger's support files of one zip: found and opened when it is, read in their turn. */

enum {
    PI_ZIP_SUPPORT_FILES = 16,    /* in a zip */
    PI_ZIP_SUPPORT_ITEMS = 32,    /* in its manifest */
    PI_ZIP_SUPPORT_MODULES = 4096 /* that are looked at */
};

/* A line of the manifest and, where it is in the zip, what is read. */
typedef struct pi_zip_support_item {
    procinspect_zip_file line;
    const char *first_place; /* where it was looked for first, which tells it from others */
    pi_support_file *file;   /* NULL: it isn't in the zip */
    uint64_t offset;         /* how far it was read */
} pi_zip_support_item;

typedef struct pi_zip_support {
    pi_arena *arena;                                  /* the caller's, like all that is found */
    pi_zip_support_item *items[PI_ZIP_SUPPORT_ITEMS]; /* those in the zip come first */
    size_t count;
    size_t file_count;
    uint32_t more_count;
} pi_zip_support;

/* Looks for all of them. NO_MEMORY is the only failure; what was opened is to be closed even
 * then. */
int32_t pi_zip_support_find(pi_zip_support *support, const procinspect_module_list *modules,
                            pi_support_search *search, uint64_t max_bytes,
                            procinspect_error *error);
void pi_zip_support_close(pi_zip_support *support);

/* Of one that is in the zip. The line says how it went once it is read to its end. */
pi_zip_entry pi_zip_support_entry(pi_zip_support_item *item);

#endif
