/* SPDX-License-Identifier: MIT */
#ifndef PI_DUMP_MINIDUMP_MINIDUMP_H
#define PI_DUMP_MINIDUMP_MINIDUMP_H

#include "dump/layout.h"
#include "dump/minidump/format.h"
#include "dump/minidump/memory_placement.h"

/*
 * A minidump that is being laid out, shared by the writers of its streams, each in its own file.
 *
 * The order in the file: header, directory, the small streams and what they point to, the contexts,
 * the lists that point into the target's memory (ThreadList, MemoryList, in a full dump
 * Memory64List), and that memory last.
 * So a file that was cut short still names its threads and modules.
 */

/* The most streams that a dump has. */
enum { PI_MINIDUMP_MAX_STREAMS = 20 };

/* Registers and memory begin at multiples of this, for readers that map the file. */
enum { PI_MINIDUMP_DATA_ALIGNMENT = 16 };

typedef struct pi_location {
    uint32_t size_bytes;
    uint32_t rva; /* position in the file */
} pi_location;

typedef struct pi_minidump {
    const pi_snapshot *snapshot;
    pi_dump_texts texts;
    pi_layout layout;
    struct {
        uint32_t type;
        pi_location location;
    } streams[PI_MINIDUMP_MAX_STREAMS];
    uint32_t stream_count;     /* written so far */
    uint32_t directory_count;  /* that the directory has room for */
    pi_location first_context; /* the others follow, all of its size */
    pi_placement placement;    /* of the memory */
} pi_minidump;

/* Enters the bytes from `begin` to the end of the file so far as a stream. */
void pi_minidump_add_stream(pi_minidump *minidump, uint32_t type, uint64_t begin);

/* The bytes from `begin` to the end of the file so far. */
pi_location pi_minidump_location(pi_minidump *minidump, uint64_t begin);

void pi_minidump_put_location(pi_minidump *minidump, pi_location location);

/*
 * A string: UTF-16, repaired with U+FFFD. It is both texts in a row; what exceeds the readers'
 * limit is cut at its beginning, since a path's end says more. Returns its RVA.
 */
uint32_t pi_minidump_put_string(pi_minidump *minidump, pi_bytes text, pi_bytes rest);

/* What that takes in the file, but for its alignment. */
uint32_t pi_minidump_string_size_bytes(pi_bytes text, pi_bytes rest);

void pi_write_system_info(pi_minidump *minidump);
void pi_write_misc_info(pi_minidump *minidump);
void pi_write_thread_names(pi_minidump *minidump);
void pi_write_module_list(pi_minidump *minidump);
uint32_t pi_text_stream_count(const pi_snapshot *snapshot);
void pi_write_text_streams(pi_minidump *minidump);
void pi_write_dump_texts(pi_minidump *minidump);

/* The streams that a bit of the dump's type asks for; without it they write nothing. The sizes are
 * 0 then, and otherwise the least that the stream takes with what it points to. */
int pi_minidump_asks_for(const pi_snapshot *snapshot, uint32_t type_bit);
void pi_write_handle_data(pi_minidump *minidump);
void pi_write_memory_info_list(pi_minidump *minidump);
void pi_write_thread_info_list(pi_minidump *minidump);
uint64_t pi_handle_data_least_bytes(const pi_snapshot *beforehand);
uint64_t pi_memory_info_list_least_bytes(const pi_snapshot *beforehand);
uint64_t pi_thread_info_list_least_bytes(const pi_snapshot *beforehand);

/* A tid that the snapshot had before. */
int pi_thread_is_repeated(const pi_snapshot *snapshot, size_t index);

/* Whether the ThreadList, and so ThreadNames, has this thread of the snapshot. */
int pi_thread_is_listed(const pi_snapshot *snapshot, size_t index);

uint32_t pi_context_size_bytes(pi_architecture architecture);

/* The contexts of all threads of the ThreadList; before that list. */
void pi_write_contexts(pi_minidump *minidump);
void pi_write_context_amd64(pi_layout *layout, const pi_registers_amd64 *registers);
void pi_write_context_arm64(pi_layout *layout, const pi_registers_arm64 *registers);

/* The lists need the placement, and so their own sizes before they are written. */
uint64_t pi_thread_list_size_bytes(const pi_snapshot *snapshot);
void pi_write_thread_list(pi_minidump *minidump);
void pi_write_memory_list(pi_minidump *minidump);
void pi_write_memory64_list(pi_minidump *minidump); /* in a full dump */

#endif
