/* SPDX-License-Identifier: MIT */
#include "platform/linux/module_mappings.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static int compare_numbers(uint64_t left, uint64_t right) {
    return (left > right) - (left < right);
}

static int compare_files(const pi_mapping *left, const pi_mapping *right) {
    int order = compare_numbers(left->inode, right->inode);
    if (order == 0)
        order = compare_numbers(left->device_major, right->device_major);
    if (order == 0)
        order = compare_numbers(left->device_minor, right->device_minor);
    if (order == 0)
        order = compare_numbers(left->path_length, right->path_length);
    if (order == 0)
        order = memcmp(left->path, right->path, left->path_length);
    return order;
}

static int compare_items(const void *left, const void *right) {
    const pi_mapping *a = &((const pi_file_mapping *)left)->mapping;
    const pi_mapping *b = &((const pi_file_mapping *)right)->mapping;
    int order = compare_files(a, b);
    return order != 0 ? order : compare_numbers(a->start, b->start);
}

static bool append(pi_file_mappings *mappings, size_t *capacity, const pi_mapping *mapping) {
    if (mappings->count == *capacity) {
        size_t wanted = *capacity == 0 ? 256 : *capacity * 2;
        pi_file_mapping *items = realloc(mappings->items, wanted * sizeof *items);
        if (items == NULL)
            return false;
        mappings->items = items;
        *capacity = wanted;
    }
    mappings->items[mappings->count] = (pi_file_mapping){*mapping, mappings->count};
    mappings->count++;
    return true;
}

int32_t pi_file_mappings_read(const char *maps, size_t length, uint64_t vdso_address,
                              pi_file_mappings *mappings, procinspect_error *error) {
    pi_file_mappings found = {0};
    size_t capacity = 0;
    pi_maps_cursor cursor = {maps, maps + length};
    pi_mapping mapping, named_vdso = {0};
    while (pi_maps_next(&cursor, &mapping)) {
        /* The kernel's own name for it is beyond the program's reach; the address is not. */
        if (mapping.inode == 0 && pi_mapping_is_named(&mapping, "[vdso]"))
            named_vdso = mapping;
        else if (mapping.inode == 0 && mapping.start == vdso_address)
            found.vdso = mapping;
        if (mapping.inode != 0 && !append(&found, &capacity, &mapping)) {
            free(found.items);
            return pi_error_no_memory(error);
        }
    }
    if (named_vdso.end != 0)
        found.vdso = named_vdso;
    if (found.count > 1)
        qsort(found.items, found.count, sizeof *found.items, compare_items);
    *mappings = found;
    return PROCINSPECT_OK;
}

void pi_file_mappings_free(pi_file_mappings *mappings) {
    free(mappings->items);
    *mappings = (pi_file_mappings){0};
}

size_t pi_file_mappings_of_one_file(const pi_file_mappings *mappings, size_t first) {
    size_t next = first + 1;
    while (next < mappings->count &&
           compare_files(&mappings->items[first].mapping, &mappings->items[next].mapping) == 0)
        next++;
    return next - first;
}
