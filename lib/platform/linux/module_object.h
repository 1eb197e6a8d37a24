/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_MODULE_OBJECT_H
#define PI_PLATFORM_LINUX_MODULE_OBJECT_H

#include "model/elf.h"
#include "platform/linux/linux.h"
#include "platform/linux/maps.h"
#include "platform/linux/module_file.h"

/*
 * The bytes of the ELF objects that a process has mapped, one object after the other: from the file
 * that its path leads to, if that is still the mapped file, else from the file behind the mapping,
 * else from the process's memory. Nothing of it waits for a file system that need not answer, nor
 * for a userfaultfd: where memory could, only pages that are there are read.
 */

enum { PI_OBJECT_PAGE_SIZE = 4096, PI_OBJECT_PAGE_COUNT = 4 };

/* One page of the object that was read, kept because small things are read side by side. */
typedef struct pi_object_page {
    uint64_t position;
    size_t length; /* 0: holds nothing */
    unsigned char bytes[PI_OBJECT_PAGE_SIZE];
} pi_object_page;

/* A descriptor that is opened when it is first needed. */
typedef struct pi_lazy_descriptor {
    bool is_tried;
    int descriptor; /* -1 where os_errno says why */
    int os_errno;
} pi_lazy_descriptor;

typedef struct pi_module_object {
    const pi_process *process;
    pi_lazy_descriptor root;   /* of the target's mount namespace */
    pi_lazy_descriptor memory; /* of the target */
    pi_lazy_descriptor pagemap;
    pi_file_systems systems;
    pi_buffer name;      /* what `path` points into */
    int exhausted_errno; /* no descriptors or no memory: what was read since is not to be used */
    uint32_t work_left;  /* of what one call may read */

    /* The object at hand. */
    const char *path; /* newlines restored, without the kernel's mark; terminated */
    size_t path_length;
    bool is_path_stale; /* the path doesn't lead to the mapped file */
    int file;           /* -1: it is read from memory */
    int file_errno;     /* why there is no file */
    int read_errno;     /* of the last read that failed, 0 where it was the end; ENODATA: the memory
                           isn't there, EFBIG: no work is left */
    bool is_memory_checked; /* a page that isn't there could be long in coming */
    pi_elf_source source;
    unsigned next_page;
    pi_object_page pages[PI_OBJECT_PAGE_COUNT];
} pi_module_object;

/* Everything but the pages is zeroed. exhausted_errno is to be looked at after this and after each
 * object. */
void pi_module_object_init(pi_module_object *object, const pi_process *process);
/* Takes note of a failed system call, if it failed for want of descriptors or memory. */
void pi_module_object_note_failure(pi_module_object *object, int os_errno);
void pi_module_object_close(pi_module_object *object);

/*
 * Turns to the object whose ELF header, if it is one, stands at the start of `header`, which is a
 * mapping of a file from its offset 0. Afterwards `source` reads it; whether anything can be read
 * shows there. 0 or -ENOMEM.
 */
int pi_module_object_use_mapping(pi_module_object *object, const pi_mapping *header);

/* Turns to what stands at this address, in memory only: the kernel's own, which is always there. */
void pi_module_object_use_memory(pi_module_object *object, uint64_t address, uint64_t size_bytes);

/* Where the memory of the process can't be read any more: the vDSO of this very process, which the
 * kernel maps alike into every process of one architecture. Nothing else is read from memory then.
 */
void pi_module_object_use_own_vdso(pi_module_object *object);

/* Paths are looked for below this root (O_PATH, stays the caller's), which was opened while the
 * process lived. 0 or -1 and errno. */
int pi_module_object_use_root(pi_module_object *object, int root);

/* Does the mapping begin like an ELF object, by its memory? True also where that can't be read, but
 * the file may be: nobody knows then. */
bool pi_module_object_may_be_elf(pi_module_object *object, const pi_mapping *header);

#endif
