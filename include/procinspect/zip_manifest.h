/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_ZIP_MANIFEST_H
#define PROCINSPECT_ZIP_MANIFEST_H

#include <procinspect/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a zip (stream.h) holds beside the dump: the files that a debugger needs because they know a
 * runtime's own structures. They are found from the modules of the process:
 *
 *   module                 wanted
 *   libcoreclr.so          libmscordaccore.so and libmscordbi.so beside it (.NET)
 *   python*, libpython*    MODULE-gdb.py beside it, else below /usr/share/gdb/auto-load (CPython)
 *   libjvm.so              libsaproc.so in the directory above (JVM)
 *   any                    MODULE-gdb.py, as above
 *
 * A debugger runs what such a file holds, and the process may be hostile. So a file is taken if
 * it is a regular one on the host's own file systems, belongs to root, can't be written by anybody
 * else, and the same holds for each directory and link on the way; and if the module itself is such
 * a file, and the very build that the process has mapped. Root's own processes in the host's mount
 * namespace are trusted with that: they could as well write the host. In another mount namespace a
 * process with any right of root has no host's files. No file system that need not answer (FUSE, a
 * network; the host's root excepted) is asked, and nothing but regular files is opened.
 *
 * PROCINSPECT_ZIP_FROM_TARGET looks for what the host doesn't have in the process's own mount
 * namespace, below its root, as far as everybody may read it there: that it belongs to root says
 * nothing, and who debugs the dump has to decide whether to trust it. Such files are marked. For
 * this a dump of a process in another mount namespace keeps a descriptor on its root directory.
 */
enum {
    PROCINSPECT_ZIP_FILE_WHOLE = 1,   /* in the zip, as it is */
    PROCINSPECT_ZIP_FILE_CHANGED = 2, /* in the zip, but changed, cut short or failed while read */
    PROCINSPECT_ZIP_FILE_REFUSED = 3, /* there, or nobody knows, but not to be taken */
    PROCINSPECT_ZIP_FILE_ABSENT = 4   /* not there */
};

/* The process could have put it there: see above. */
#define PROCINSPECT_ZIP_FILE_FROM_TARGET UINT32_C(0x1)

/* The dump, or a file that a debugger would want. Of files that aren't in the zip those are listed
 * that belong to their runtime, or are there. */
typedef struct procinspect_zip_file {
    const char *name;        /* in the zip; NULL: it isn't there */
    const char *runtime;     /* ".NET", "CPython", "JVM", "gdb script"; NULL: the dump */
    const char *path;        /* where it was found, or first looked for; NULL: the dump */
    const char *module_path; /* the module that asks for it; NULL: the dump */
    const void *build_id;    /* of the file, where it is an ELF object with one; else NULL */
    size_t build_id_length;
    const void *module_build_id; /* of the module; NULL where it has none */
    size_t module_build_id_length;
    uint64_t size_bytes; /* in the zip; 0 where it isn't */
    uint32_t crc32;      /* as in the zip */
    uint32_t state;      /* PROCINSPECT_ZIP_FILE_WHOLE … */
    uint32_t flags;      /* PROCINSPECT_ZIP_FILE_FROM_TARGET */
    uint32_t reserved;
    const char *reason; /* why it isn't in the zip, or not whole; NULL: it is */
} procinspect_zip_file;

/* What the zip's last file, manifest.json, has as JSON: all others in it, in their order, and then
 * what isn't in it. */
typedef struct procinspect_zip_manifest {
    const procinspect_zip_file *const *items;
    size_t count;
    int32_t pid;
    /* Files that weren't looked for, or aren't listed, for there are too many: a zip has at most
     * 16 support files, the list at most 32 of them and of those that are missing, and only the
     * first 4096 modules count. */
    uint32_t more_count;
    int64_t captured_at_unix_ns;
} procinspect_zip_manifest;

#ifdef __cplusplus
}
#endif

#endif
