/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/pages.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "platform/linux/trace/helper_system_call.h"

enum { PAGE_BYTES = 4096 };

/* From linux/fs.h, which Debian 12 has without them. */
typedef struct scan_argument {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
} scan_argument;

#define PAGEMAP_SCAN_REQUEST _IOWR('f', 16, scan_argument)

enum { SCAN_FILE = 1 << 2, SCAN_PRESENT = 1 << 3, SCAN_SWAPPED = 1 << 4, SCAN_ZERO = 1 << 5 };

/* Since Linux 6.15; earlier ones refuse it. */
#define SCAN_GUARD (UINT64_C(1) << 8)

/* In an entry of the file. */
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_OF_FILE (UINT64_C(1) << 61)
#define ENTRY_GUARD (UINT64_C(1) << 58) /* MADV_GUARD_INSTALL: nothing is behind it */

/* Of many, so that the deadline is looked at. A brief scan is for those that only want to know
 * where pages begin: it passes hundreds of small mappings, and doesn't stay long with a large one.
 * A narrow one is for mappings among others that aren't asked about: a small one is looked at with
 * its neighbours, a large one alone. */
enum { PAGES_IN_ONE_SCAN = 1024 * 1024, PAGES_IN_BRIEF_SCAN = 256, PAGES_IN_NARROW_SCAN = 512 };

/* A scan looks further than it was asked to, so that many small mappings take one: up to the end of
 * the addresses that programs have, unless they ask for more. */
#define USUAL_ADDRESS_END ((UINT64_C(1) << 47) - PAGE_BYTES)

void pi_pages_begin(pi_pages *pages, int pagemap) {
    pages->pagemap = pagemap;
    pages->known_from = pages->known_to = 0;
    pages->next = pages->count = 0;
}

/* How far to look, and at most at how many pages that exist. */
typedef struct scan_reach {
    uint64_t to;
    uint64_t most_pages;
} scan_reach;

static scan_reach reach_of(const pi_pages *pages, uint64_t from, uint64_t to) {
    uint64_t far = to > USUAL_ADDRESS_END ? to : USUAL_ADDRESS_END;
    if (pages->is_brief)
        return (scan_reach){far, PAGES_IN_BRIEF_SCAN};
    if (!pages->is_narrow)
        return (scan_reach){far, PAGES_IN_ONE_SCAN};
    return (to - from) / PAGE_BYTES <= PAGES_IN_NARROW_SCAN
               ? (scan_reach){far, PAGES_IN_NARROW_SCAN}
               : (scan_reach){to, PAGES_IN_ONE_SCAN};
}

static long scan(pi_pages *pages, uint64_t from, scan_reach reach, uint64_t guard, uint64_t *end) {
    scan_argument argument = {.size = sizeof argument,
                              .start = from,
                              .end = reach.to,
                              .vec = (uintptr_t)pages->items.regions,
                              .vec_len = PI_PAGES_REGIONS,
                              .max_pages = reach.most_pages,
                              .category_inverted = guard,
                              .category_mask = guard,
                              .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
                              .return_mask = pages->skips_kind ? SCAN_ZERO : SCAN_FILE | SCAN_ZERO};
    long count =
        raw_call(SYS_ioctl, pages->pagemap, (long)PAGEMAP_SCAN_REQUEST, (long)&argument, 0);
    *end = argument.walk_end;
    return count;
}

/* False where the kernel has no such call, or says what it can't. */
static bool fill_by_scan(pi_pages *pages, uint64_t from, uint64_t to) {
    uint64_t end;
    scan_reach reach = reach_of(pages, from, to);
    long count = scan(pages, from, reach, SCAN_GUARD, &end);
    if (count == -EINVAL)
        count = scan(pages, from, reach, 0, &end);
    if (count < 0 || count > PI_PAGES_REGIONS || end <= from)
        return false;
    pages->count = (size_t)count;
    pages->known_to = end;
    return true;
}

static long fill_by_reading(pi_pages *pages, uint64_t from, uint64_t to) {
    uint64_t wanted = (to - from) / PAGE_BYTES;
    if (wanted > PI_PAGES_ENTRIES)
        wanted = PI_PAGES_ENTRIES;
    long got = raw_call(SYS_pread64, pages->pagemap, (long)pages->items.entries, (long)(wanted * 8),
                        (long)(from / PAGE_BYTES * 8));
    if (got < 0)
        return got;
    pages->count = (size_t)got / 8;
    /* It ends where no program's addresses are. */
    pages->known_to = pages->count < wanted ? to : from + wanted * PAGE_BYTES;
    return 0;
}

static long fill(pi_pages *pages, uint64_t from, uint64_t to) {
    if (pages->deadline_ns != 0 && raw_now_ns() >= pages->deadline_ns)
        return -ETIME;
    if (pages->helper != NULL && pi_helper_must_stop(pages->helper))
        return -ECANCELED;
    pages->known_from = from;
    pages->next = 0;
    if (!pages->cannot_scan && fill_by_scan(pages, from, to))
        return 0;
    pages->cannot_scan = true;
    return fill_by_reading(pages, from, to);
}

static bool next_region(pi_pages *pages, uint64_t from, uint64_t to, pi_page_run *run) {
    const pi_page_region *regions = pages->items.regions;
    while (pages->next < pages->count && regions[pages->next].end <= from)
        pages->next++;
    if (pages->next == pages->count || regions[pages->next].start >= to)
        return false;
    const pi_page_region *found = &regions[pages->next];
    run->start = found->start > from ? found->start : from;
    run->end = found->end < to ? found->end : to;
    run->is_of_file = (found->categories & SCAN_FILE) != 0;
    run->is_zero = (found->categories & SCAN_ZERO) != 0;
    return true;
}

static bool exists(uint64_t entry) {
    return (entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) != 0 && (entry & ENTRY_GUARD) == 0;
}

static bool next_entries(pi_pages *pages, uint64_t from, uint64_t to, pi_page_run *run) {
    const uint64_t *entries = pages->items.entries;
    size_t last = (size_t)((to - pages->known_from) / PAGE_BYTES);
    if (last > pages->count)
        last = pages->count;
    size_t at = (size_t)((from - pages->known_from) / PAGE_BYTES);
    while (at < last && !exists(entries[at]))
        at++;
    if (at >= last)
        return false;
    uint64_t kind = entries[at] & ENTRY_OF_FILE;
    run->start = pages->known_from + at * PAGE_BYTES;
    while (at < last && exists(entries[at]) && (entries[at] & ENTRY_OF_FILE) == kind)
        at++;
    run->end = pages->known_from + at * PAGE_BYTES;
    run->is_of_file = kind != 0;
    run->is_zero = false;
    return true;
}

int pi_pages_next(pi_pages *pages, uint64_t from, uint64_t to, pi_page_run *run) {
    while (from < to) {
        if (from < pages->known_from || from >= pages->known_to) {
            long result = fill(pages, from, to);
            if (result < 0)
                return (int)result;
        }
        uint64_t known_to = pages->known_to < to ? pages->known_to : to;
        if (pages->cannot_scan ? next_entries(pages, from, known_to, run)
                               : next_region(pages, from, known_to, run))
            return 1;
        from = known_to;
    }
    return 0;
}

int pi_pages_first(pi_pages *pages, uint64_t from, uint64_t to, pi_page_run *run) {
    pages->is_brief = true;
    int result = pi_pages_next(pages, from, to, run);
    pages->is_brief = false;
    return result;
}
