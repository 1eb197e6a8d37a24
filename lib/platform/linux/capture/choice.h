/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_CHOICE_H
#define PI_PLATFORM_LINUX_CAPTURE_CHOICE_H

#include "model/memory_range.h"
#include "platform/linux/capture/record.h"

/*
 * Which memory a dump holds besides what every dump has, by its type: data segments, private
 * read-write memory, or all that exists. It says which and not how it is read. Worked out in the
 * helper while the process stands, and in the host before that, to know how much it will be:
 * nothing here calls libc or allocates.
 */

/* The types that have to do with it. */
#define PI_CHOICE_TYPES                                                                            \
    (PROCINSPECT_DUMP_TYPE_WITH_DATA_SEGS | PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY |               \
     PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY)

/* More of them would take a reader longer to look through than anybody waits. */
#define PI_CHOICE_MAX_RANGES ((size_t)256 * 1024)

typedef struct pi_choice {
    uint32_t type;
    const char *maps; /* the text of /proc/PID/maps */
    size_t maps_length;
    pi_pages *pages;
    const pi_page_record *record;  /* nullable: which pages its areas have; `pages` has the rest */
    const pi_memory_range *always; /* in it whatever the type; ascending, disjoint */
    size_t always_count;
    const pi_memory_range *never; /* not chosen: where the dump itself is made */
    size_t never_count;
    pi_unwanted unwanted;    /* not chosen, unless it is in `always` */
    pi_memory_range *ranges; /* room for `capacity` */
    size_t capacity;

    /* Results. The ranges are ascending, disjoint, and none touches the next. */
    size_t count;
    uint64_t total_bytes;    /* that the type asks for */
    uint64_t left_out_bytes; /* of these, what needs more ranges than there is room for */
    uint64_t unwanted_bytes; /* of addresses, in unwanted mappings that it would have taken from */
    size_t unwanted_count;   /* of these */
    uint64_t chosen_end;     /* behind the last byte that was chosen so far */
    size_t always_next;      /* the first one of `always` that is not yet in it */
    size_t record_next;
} pi_choice;

/* Whether a dump of this type can have anything of the area in it. */
bool pi_choice_may_take(uint32_t type, const pi_area *area);

/* Whether it depends on what pages are of (is_of_file) which of them are chosen. */
bool pi_choice_needs_kind(uint32_t type);

/* 0, or what pi_pages_next failed with. */
int pi_choice_make(pi_choice *choice);

#endif
