/* SPDX-License-Identifier: MIT */
#ifndef PI_MODEL_SNAPSHOT_H
#define PI_MODEL_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include <procinspect/dump.h>
#include <procinspect/module.h>

#include "base/arena.h"
#include "model/memory_range.h"
#include "model/registers.h"

/*
 * What a capture took from a process, in no system's terms: the platform layer fills it, the dump
 * layer lays it out as a file. A snapshot is the root of its arena; everything it points to is in
 * there, except the memory, which is asked for through its source.
 */

typedef struct pi_bytes {
    const void *data; /* NULL: not there */
    size_t length;
} pi_bytes;

typedef struct pi_thread_snapshot {
    int32_t tid;
    int32_t priority; /* as in procinspect_thread_info */
    int32_t nice;
    uint32_t has_registers; /* 0: it could not be stopped; the members below mean nothing then */
    pi_registers registers;
    pi_memory_range stack; /* size 0: its stack pointer leads nowhere */
    pi_bytes name;         /* as the kernel has it */

    /* For ThreadInfoList, when that is asked for. */
    uint32_t has_times;
    uint32_t has_affinity;
    uint32_t is_caller;         /* it takes the dump, of its own process */
    int64_t start_time_unix_ns; /* has_times, as are the next two */
    uint64_t user_cpu_ns;
    uint64_t kernel_cpu_ns;
    uint64_t affinity; /* bit n: it may run on processor n; of the first 64 */
} pi_thread_snapshot;

/* What may be done with a region of memory, or through a handle. */
enum {
    PI_ACCESS_READ = 0x1,
    PI_ACCESS_WRITE = 0x2,
    PI_ACCESS_EXECUTE = 0x4,
    PI_ACCESS_APPEND = 0x8 /* writing, always at the end: in WRITE's place */
};

/* Something that the process has open. */
typedef struct pi_handle_snapshot {
    uint64_t number;
    uint32_t access;       /* PI_ACCESS_… */
    uint32_t is_inherited; /* a program that the process executes has it, too */
    pi_bytes type;         /* "file", "socket" … */
    pi_bytes name;         /* a path, or what the system has instead; empty: nothing */
} pi_handle_snapshot;

typedef enum pi_region_kind {
    PI_REGION_PRIVATE, /* the process's own memory */
    PI_REGION_MAPPED,  /* of a file, or shared */
    PI_REGION_IMAGE    /* of a module's file */
} pi_region_kind;

/* Memory that was mapped in one piece. */
typedef struct pi_region_snapshot {
    pi_memory_range range;
    uint64_t allocation_address; /* where that begins which it is a part of: a module, or itself */
    uint32_t access;             /* PI_ACCESS_… */
    pi_region_kind kind;
} pi_region_snapshot;

/* Texts of the system that a dump carries as they are. */
typedef enum pi_system_text {
    PI_TEXT_CPU_INFO,
    PI_TEXT_STATUS, /* of the process, before it was stopped */
    PI_TEXT_OS_RELEASE,
    PI_TEXT_COMMAND_LINE,
    PI_TEXT_ENVIRONMENT,
    PI_TEXT_AUXILIARY_VECTOR,
    PI_TEXT_MAPS, /* while it was stopped */
    PI_TEXT_LIMITS,
    PI_TEXT_COUNT
} pi_system_text;

/*
 * Where the memory is read from: a buffer that holds it, or a frozen copy of the process. Fills all
 * of buffer with the target's bytes from address on, or fails with IO. Called from any thread,
 * several at a time.
 */
typedef struct pi_memory_source {
    int32_t (*read)(const struct pi_memory_source *source, uint64_t address, void *buffer,
                    size_t length, procinspect_error *error);
    void (*release)(struct pi_memory_source *source); /* frees the source itself too */
} pi_memory_source;

typedef struct pi_snapshot {
    int32_t pid;
    pi_architecture architecture;
    uint32_t processor_count;
    uint32_t reserved;
    pi_cpu_identity cpu;
    char *system_version; /* "Linux 6.1.0 #1 SMP … x86_64": sysname release version machine */
    int64_t captured_at_unix_ns;
    int64_t process_start_unix_ns;
    uint64_t process_user_cpu_ns;
    uint64_t process_kernel_cpu_ns;

    pi_thread_snapshot *threads; /* the main thread first, then by ascending tid */
    size_t thread_count;

    const procinspect_module_list *modules; /* in the arena; by ascending base */

    /* What the dump holds: by ascending address, disjoint, none empty, adjacent ones joined. */
    pi_memory_range *memory;
    size_t memory_count;
    pi_memory_source *source;

    pi_bytes texts[PI_TEXT_COUNT];

    /* Where the effective type has them: what is open, by ascending number, and what is mapped, by
     * ascending address. */
    pi_handle_snapshot *handles;
    size_t handle_count;
    pi_region_snapshot *regions;
    size_t region_count;

    /* types, pause, notes, counts; size_bytes and total_ns are filled by the layers above. The
     * effective type is there before the process is stopped. */
    procinspect_dump_report report;
} pi_snapshot;

/* Releases the source and the arena; NULL does nothing. */
void pi_snapshot_free(pi_snapshot *snapshot);

#endif
