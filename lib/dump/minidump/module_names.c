/* SPDX-License-Identifier: MIT */
#include "dump/minidump/module_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/memory_range.h"

/* The innermost part of a stack is enough for a vote. */
enum { COUNTED_STACK_BYTES = 16 * 1024, WORDS_AT_ONCE = 512, WORD_BYTES = 8 };

pi_module_name pi_module_name_of(const procinspect_module_info *info) {
    pi_bytes path = {info->path_bytes, info->path_bytes_length};
    if (path.data == NULL && info->path != NULL)
        path = (pi_bytes){info->path, strlen(info->path)};
    const char *bytes = path.data;
    size_t folder_length = path.length;
    while (folder_length != 0 && bytes[folder_length - 1] != '/')
        folder_length--;
    pi_module_name name = {.folder = {bytes, folder_length}};
    if (info->soname != NULL && info->soname[0] != '\0' && strchr(info->soname, '/') == NULL &&
        !(info->flags & PROCINSPECT_MODULE_FLAG_VDSO))
        name.file = (pi_bytes){info->soname, strlen(info->soname)};
    else if (path.length != folder_length)
        name.file = (pi_bytes){bytes + folder_length, path.length - folder_length};
    return name;
}

static int compare_bytes(pi_bytes one, pi_bytes other) {
    size_t common = one.length < other.length ? one.length : other.length;
    int order = common == 0 ? 0 : memcmp(one.data, other.data, common);
    return order != 0 ? order : (one.length > other.length) - (one.length < other.length);
}

static int compare_names(const pi_module_name *one, const pi_module_name *other) {
    int order = compare_bytes(one->file, other->file);
    return order != 0 ? order : compare_bytes(one->folder, other->folder);
}

/* Copies of a name by ascending base. */
static int by_name_then_place(const void *left, const void *right) {
    const pi_module_name *one = *(pi_module_name *const *)left;
    const pi_module_name *other = *(pi_module_name *const *)right;
    int order = compare_names(one, other);
    return order != 0 ? order : (one > other) - (one < other);
}

typedef struct module_votes {
    const pi_memory_range *ranges;
    uint64_t *hits; /* of each range */
    size_t count;
} module_votes;

static void count_address(module_votes *votes, uint64_t address) {
    size_t at = pi_memory_range_at_or_below(votes->ranges, votes->count, address);
    const pi_memory_range *range = &votes->ranges[at];
    if (address >= range->address && address - range->address < range->size_bytes)
        votes->hits[at]++;
}

/* What can't be read doesn't count; sending it will fail, and say so. */
static void count_stack(module_votes *votes, const pi_memory_source *source,
                        pi_memory_range stack) {
    uint64_t words[WORDS_AT_ONCE];
    uint64_t skipped = -stack.address % WORD_BYTES;
    if (stack.size_bytes < skipped)
        return;
    uint64_t address = stack.address + skipped;
    uint64_t left = stack.size_bytes - skipped;
    if (left > COUNTED_STACK_BYTES)
        left = COUNTED_STACK_BYTES;
    while (left >= WORD_BYTES) {
        size_t size = left < sizeof words ? (size_t)left / WORD_BYTES * WORD_BYTES : sizeof words;
        if (source->read(source, address, words, size, NULL) != PROCINSPECT_OK)
            return;
        for (size_t i = 0; i < size / WORD_BYTES; i++)
            count_address(votes, words[i]);
        address += size;
        left -= size;
    }
}

static void count_threads(module_votes *votes, const pi_snapshot *snapshot) {
    for (size_t i = 0; i < snapshot->thread_count; i++) {
        const pi_thread_snapshot *thread = &snapshot->threads[i];
        if (!thread->has_registers)
            continue;
        count_address(votes,
                      pi_registers_instruction_pointer(snapshot->architecture, &thread->registers));
        count_stack(votes, snapshot->source, thread->stack);
    }
}

/* `copies` have one name, by ascending base. */
static void number(pi_module_name *const *copies, size_t count, const pi_module_name *names,
                   const uint64_t *hits) {
    size_t first = 0;
    for (size_t i = 1; i < count; i++)
        if (hits[copies[i] - names] > hits[copies[first] - names])
            first = i;
    uint32_t copy = 2;
    for (size_t i = 0; i < count; i++)
        if (i != first)
            copies[i]->copy = copy++;
}

bool pi_module_names_number_copies(const pi_snapshot *snapshot, const pi_memory_range *ranges,
                                   pi_module_name *names, size_t count) {
    pi_module_name **sorted = calloc(count + 1, sizeof *sorted);
    module_votes votes = {.ranges = ranges, .count = count};
    bool has_memory = sorted != NULL;
    for (size_t i = 0; has_memory && i < count; i++)
        sorted[i] = &names[i];
    if (has_memory)
        qsort(sorted, count, sizeof *sorted, by_name_then_place);
    for (size_t begin = 0, end; has_memory && begin < count; begin = end) {
        end = begin + 1;
        while (end < count && compare_names(sorted[begin], sorted[end]) == 0)
            end++;
        if (end - begin == 1)
            continue;
        if (votes.hits == NULL) {
            votes.hits = calloc(count, sizeof *votes.hits);
            has_memory = votes.hits != NULL;
            if (!has_memory)
                break;
            count_threads(&votes, snapshot);
        }
        number(&sorted[begin], end - begin, names, votes.hits);
    }
    free(votes.hits);
    free(sorted);
    return has_memory;
}

uint32_t pi_module_name_put(pi_minidump *minidump, const pi_module_name *name) {
    if (name->copy == 0)
        return pi_minidump_put_string(minidump, name->folder, name->file);
    size_t capacity = name->file.length + sizeof " (copy 4294967295)";
    char *numbered = malloc(capacity);
    if (numbered == NULL) {
        pi_layout_fail(&minidump->layout, PROCINSPECT_ERROR_NO_MEMORY);
        return 0;
    }
    if (name->file.length != 0)
        memcpy(numbered, name->file.data, name->file.length);
    int suffix_length = snprintf(numbered + name->file.length, capacity - name->file.length,
                                 " (copy %" PRIu32 ")", name->copy);
    uint32_t rva = pi_minidump_put_string(
        minidump, name->folder, (pi_bytes){numbered, name->file.length + (size_t)suffix_length});
    free(numbered);
    return rva;
}
