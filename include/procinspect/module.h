/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_MODULE_H
#define PROCINSPECT_MODULE_H

#include <procinspect/error.h>
#include <procinspect/unavailable.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Modules of a process: the ELF objects that it has mapped, executable, shared libraries and the
 * kernel's vDSO. One file is one module, however many mappings it has (a library that dlmopen
 * loaded twice is two, and a view of a file beside its code is none); a file that is mapped as data
 * only and isn't ELF is none.
 *
 * The mappings come from /proc/PID/maps. The ELF object is read from the file behind the mapping,
 * if the path in the target's mount namespace (/proc/PID/root) still leads to the mapped device and
 * inode, else through /proc/PID/map_files, else from the target's memory. So a file that was
 * deleted or replaced answers too; what only the file holds (IS_DEBUG, PACKAGE of some) is then
 * unknown. Nothing below /dev is opened, and nothing that isn't a regular file.
 *
 * Nor is a file on FUSE or a network file system, which may never answer (the file system of this
 * process's own root excepted): what only the file tells is unknown then, and the rest comes from
 * pages that are in the target's memory. Paths are looked up in the kernel's cache of names alone,
 * which takes Linux 5.12. What a target's ELF objects make one call read has an end, about a
 * second; what is behind it is unknown, TOO_LARGE, and can be asked for by its base address.
 *
 * The members that can be asked for, and the `known` bits of an answer:
 */
#define PROCINSPECT_MODULE_PATH (UINT64_C(1) << 0)
#define PROCINSPECT_MODULE_BUILD_ID (UINT64_C(1) << 1)
#define PROCINSPECT_MODULE_SONAME (UINT64_C(1) << 2)
#define PROCINSPECT_MODULE_FILE_VERSION (UINT64_C(1) << 3)
#define PROCINSPECT_MODULE_PACKAGE (UINT64_C(1) << 4)
#define PROCINSPECT_MODULE_IS_DEBUG (UINT64_C(1) << 5)
#define PROCINSPECT_MODULE_TEXT_HASH (UINT64_C(1) << 6)

#define PROCINSPECT_MODULE_EVERYTHING UINT64_C(0x7f)

/* Module flags. */
enum {
    PROCINSPECT_MODULE_FLAG_DELETED = 0x1,   /* the path doesn't lead to the mapped file any more */
    PROCINSPECT_MODULE_FLAG_VDSO = 0x2,      /* the kernel's vDSO; its path is "linux-gate.so" */
    PROCINSPECT_MODULE_FLAG_EXECUTABLE = 0x4 /* holds the program's entry point (AT_ENTRY) */
};

typedef struct procinspect_module_info {
    uint64_t known;        /* PROCINSPECT_MODULE_… bits */
    uint64_t base_address; /* of the ELF header in the target's memory; always known */
    uint64_t size_bytes;   /* from base_address to the end of its last mapping; always known */
    int32_t pid;
    uint32_t flags; /* PROCINSPECT_MODULE_FLAG_… */
    /* PATH: in the target's mount namespace, without the kernel's " (deleted)", with newlines as
     * they are, not escaped as in maps; and the part behind the last slash. */
    const char *path;
    const char *file_name;
    const void *path_bytes; /* not repaired */
    size_t path_bytes_length;
    /* BUILD_ID: the GNU build id's bytes (.note.gnu.build-id); NULL and 0 where the object has
     * none. */
    const void *build_id;
    size_t build_id_length;
    /* SONAME: DT_SONAME, NULL where the object has none. */
    const char *soname;
    /* FILE_VERSION: the digits behind ".so." in the file name, else in the SONAME ("1.2.13"); NULL
     * where there are none; and its first four numbers. */
    const char *file_version;
    uint32_t file_version_parts[4];
    /* PACKAGE: name and version from the ELF package note (.note.package); NULL where there is
     * none. */
    const char *package_name;
    const char *package_version;
    /* IS_DEBUG: 1 where the file itself has a .debug_info section, else 0. */
    uint32_t is_debug;
    uint32_t reserved;
    /* Why members that were asked for are not known. */
    const procinspect_unavailable *const *unavailable;
    size_t unavailable_count;
    /* TEXT_HASH: what Breakpad's tools identify an object by that has no build id: 16 bytes, the
     * exclusive or of the first 4096 bytes of its .text section. NULL where there is a build id, or
     * no such section. Only the file has it. */
    const void *text_hash;
} procinspect_module_info;

/* Modules by ascending base address. */
typedef struct procinspect_module_list {
    const procinspect_module_info *const *items;
    size_t count;
    int32_t pid; /* their process */
} procinspect_module_list;

/* What procinspect_module_list_read (process.h) is asked for; its query may be NULL. */
typedef struct procinspect_module_query {
    uint32_t struct_size;  /* set by _init */
    uint32_t flags;        /* must be 0 */
    uint64_t base_address; /* this module only; 0: all. NOT_FOUND where no module has this base */
    uint64_t members;      /* PROCINSPECT_MODULE_… bits; 0: PROCINSPECT_MODULE_EVERYTHING */
} procinspect_module_query;

PROCINSPECT_API void procinspect_module_query_init(procinspect_module_query *query,
                                                   size_t struct_size);

/*
 * procinspect_module_list_read gives a list that is the caller's, to be freed with this. A kernel
 * thread and a zombie have no modules: an empty list. A process in the middle of execve is waited
 * for, 20 ms at most, and then an IO error (EBUSY). Errors: INVALID_ARGUMENT, NOT_FOUND, GONE,
 * REPLACED, PERMISSION (the kernel doesn't let this user read that process's maps), IO, TOO_LARGE
 * (maps of more than 64 MiB), NO_MEMORY, NO_RESOURCES.
 */
PROCINSPECT_API void procinspect_module_list_free(const procinspect_module_list *list);

#ifdef __cplusplus
}
#endif

#endif
