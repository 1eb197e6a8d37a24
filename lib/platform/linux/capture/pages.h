/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_PAGES_H
#define PI_PLATFORM_LINUX_CAPTURE_PAGES_H

#include "platform/linux/trace/helper.h"

/*
 * Which pages of a process exist: are in memory, or in swap. From /proc/PID/pagemap, which a
 * process that may look at another one's memory may read: by the PAGEMAP_SCAN ioctl (Linux 6.7),
 * which takes as long as there are pages, else page by page, which takes as long as the address
 * space that is asked about is large. Runs in the helper, and in the host before the process is
 * stopped: nothing here calls libc or allocates.
 */

/* The kernel's struct page_region. */
typedef struct pi_page_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
} pi_page_region;

enum { PI_PAGES_REGIONS = 1024, PI_PAGES_ENTRIES = 8192 };

typedef struct pi_pages {
    int pagemap; /* /proc/PID/pagemap, open */
    bool cannot_scan;
    bool is_brief;           /* the first page is all that is asked for */
    bool is_narrow;          /* beyond what is asked for little is looked at */
    bool skips_kind;         /* is_of_file isn't asked for: the kernel looks at each page for it */
    const pi_helper *helper; /* NULL in the host */
    uint64_t deadline_ns;    /* by CLOCK_MONOTONIC, 0 for none */

    /* What is known by now: of [known_from, known_to), the items from `next` on. */
    uint64_t known_from;
    uint64_t known_to;
    size_t next;
    size_t count;
    union {
        pi_page_region regions[PI_PAGES_REGIONS];
        uint64_t entries[PI_PAGES_ENTRIES];
    } items;
} pi_pages;

/* The rest may be set before, or is zero. */
void pi_pages_begin(pi_pages *pages, int pagemap);

/* Pages in a row that exist, all of one kind. */
typedef struct pi_page_run {
    uint64_t start;
    uint64_t end;
    bool is_of_file; /* or shared; else they are the process's own, copied or anonymous */
    bool is_zero;    /* were never written to: known by Linux 6.7, else false */
} pi_page_run;

/*
 * The next such pages in [from, to), which are multiples of the page size and never less than the
 * last time. 1; 0 where there are none; -ETIME at the deadline, -ECANCELED where the host ended or
 * asks to stop, another negative errno where pagemap can't be read.
 */
int pi_pages_next(pi_pages *pages, uint64_t from, uint64_t to, pi_page_run *run);

/* The same where only .start is of interest: looks at few of the pages behind it. */
int pi_pages_first(pi_pages *pages, uint64_t from, uint64_t to, pi_page_run *run);

#endif
