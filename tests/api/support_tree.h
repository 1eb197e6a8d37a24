/* SPDX-License-Identifier: MIT */
#ifndef TESTS_API_SUPPORT_TREE_H
#define TESTS_API_SUPPORT_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>
#include <procinspect.h>

#include "folders.h"

/*
 * A folder with runtimes laid out as they are installed, processes that have mapped modules of it,
 * and the zips of their dumps. Everything fails the test that calls it where it finds what it
 * should not. Names are below the folder.
 */
enum { SUPPORT_PATH_SIZE = 600, ORDINARY_USER = 65534 };
#define DOTNET "dotnet/shared/Microsoft.NETCore.App/8.0.1"

/* For cmocka: a new folder for each test. Where this is root's it is root's alone. */
int support_setup(void **state);
int support_teardown(void **state);

const char *support_path(const char *name); /* valid until the fourth next call */
void make_folders(const char *name);        /* all above the name */
/* "libcoreclr.so", "libmscordaccore.so", "libmscordbi.so", "libjvm.so", "libsaproc.so" as they were
 * built. */
void copy_library(const char *library, const char *name);
void write_file(const char *name, const char *text);
/* DOTNET with its three files, which libcoreclr.so is mapped of. */
void make_dotnet(void);

/* How a process is started. */
enum {
    AS_ROOT = 0x1,        /* if the test is; else as ORDINARY_USER */
    IN_OTHER_MOUNTS = 0x2 /* in a mount namespace of its own; skips the test where it can't */
};

/* A process that has mapped these, and sleeps; `prepare`, where not NULL, it calls first, and skips
 * the test where that answers false. */
pid_t start_mapping(const char *const *names, size_t count, int how, bool (*prepare)(void));
void end_mapping(pid_t pid);

/* The zip of its dump, before anything is read of it; and what that holds, once it has been read to
 * its end. Both are ended with the test. */
procinspect_stream *open_zip_of(pid_t pid, uint32_t flags, uint64_t max_support_bytes);
const procinspect_zip_manifest *read_zip_of(pid_t pid, uint32_t flags, uint64_t max_support_bytes);
const procinspect_zip_manifest *read_to_end(procinspect_stream *stream);

/* The line with this last component of its path, NULL for none. */
const procinspect_zip_file *line_of(const procinspect_zip_manifest *manifest, const char *name);
/* That it is in the zip as it is in the folder. */
void assert_whole(const procinspect_zip_manifest *manifest, const char *name);
/* That it isn't, for a reason that has this in it. */
void assert_missing(const procinspect_zip_manifest *manifest, const char *name, uint32_t state,
                    const char *reason);

/* Lines of modules in the folder. The program of the test may have others that a debugger has
 * scripts for, a sanitizer's libstdc++, say: how many support files these bring, and their bytes.
 */
size_t count_lines(const procinspect_zip_manifest *manifest);
size_t count_others(uint64_t *size_bytes);

void skip_unless_root(void);

#endif
