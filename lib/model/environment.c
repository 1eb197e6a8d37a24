/* SPDX-License-Identifier: MIT */
#include "model/environment.h"

#include <stdlib.h>
#include <string.h>

bool pi_environment_next(pi_bytes *block, pi_environment_entry *entry) {
    while (block->length != 0) {
        const char *begin = block->data;
        const char *nul = memchr(begin, '\0', block->length);
        size_t length = nul != NULL ? (size_t)(nul - begin) : block->length;
        size_t taken = nul != NULL ? length + 1 : length;
        block->data = begin + taken;
        block->length -= taken;
        const char *equals = memchr(begin, '=', length);
        if (equals == NULL)
            continue;
        entry->name = begin;
        entry->name_length = (size_t)(equals - begin);
        entry->value = equals + 1;
        entry->value_length = length - entry->name_length - 1;
        return true;
    }
    return false;
}

static bool same_name(const pi_environment_entry *one, const pi_environment_entry *other) {
    return one->name_length == other->name_length &&
           memcmp(one->name, other->name, one->name_length) == 0;
}

/* By name, and the earlier one first where names are the same: all point into one block. */
static int compare_entries(const void *left, const void *right) {
    const pi_environment_entry *one = *(pi_environment_entry *const *)left;
    const pi_environment_entry *other = *(pi_environment_entry *const *)right;
    size_t common = one->name_length < other->name_length ? one->name_length : other->name_length;
    int order = memcmp(one->name, other->name, common);
    if (order == 0 && one->name_length != other->name_length)
        order = one->name_length < other->name_length ? -1 : 1;
    if (order == 0)
        order = one->name < other->name ? -1 : one->name > other->name;
    return order;
}

/* Removes the later ones of entries with the same name; false: out of memory. */
static bool drop_repeated_of_many(pi_environment_entry *entries, size_t *count) {
    pi_environment_entry **sorted = malloc(*count * sizeof(pi_environment_entry *));
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < *count; i++)
        sorted[i] = &entries[i];
    qsort(sorted, *count, sizeof(pi_environment_entry *), compare_entries);
    const pi_environment_entry *first = sorted[0];
    for (size_t i = 1; i < *count; i++) {
        if (same_name(first, sorted[i]))
            sorted[i]->value = NULL; /* marks it: no entry of a block has a NULL value */
        else
            first = sorted[i];
    }
    free(sorted);
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (entries[i].value != NULL)
            entries[kept++] = entries[i];
    *count = kept;
    return true;
}

enum { FEW = 128, SLOTS = 2 * FEW };

/* Of the name's length and its ends: enough for the names that there are. */
static unsigned slot_of(const pi_environment_entry *entry) {
    uint64_t first = 0, last = 0;
    size_t taken = entry->name_length < sizeof first ? entry->name_length : sizeof first;
    memcpy(&first, entry->name, taken);
    memcpy(&last, entry->name + (entry->name_length - taken), taken);
    uint64_t mixed =
        (first ^ (last << 7 | last >> 57) ^ entry->name_length) * UINT64_C(0x9e3779b97f4a7c15);
    return (unsigned)(mixed >> 56) % SLOTS;
}

/* The same for what nearly every process has, without sorting. The table holds numbers of kept
 * entries, from 1. */
static void drop_repeated_of_few(pi_environment_entry *entries, size_t *count) {
    unsigned char table[SLOTS] = {0};
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        unsigned slot = slot_of(&entries[i]);
        while (table[slot] != 0 && !same_name(&entries[table[slot] - 1], &entries[i]))
            slot = (slot + 1) % SLOTS;
        if (table[slot] != 0)
            continue;
        entries[kept++] = entries[i];
        table[slot] = (unsigned char)kept;
    }
    *count = kept;
}

/* All entries of the block, repeated ones too; false: out of memory. */
static bool collect(pi_bytes block, pi_environment_entry **entries, size_t *count) {
    pi_environment_entry *found = NULL, entry;
    size_t capacity = 0;
    *count = 0;
    while (pi_environment_next(&block, &entry)) {
        if (*count == capacity) {
            capacity = capacity == 0 ? FEW / 2 : capacity * 2;
            pi_environment_entry *grown = realloc(found, capacity * sizeof *grown);
            if (grown == NULL) {
                free(found);
                return false;
            }
            found = grown;
        }
        found[(*count)++] = entry;
    }
    *entries = found;
    return true;
}

bool pi_environment_split(pi_bytes block, pi_environment_entry **entries, size_t *count) {
    pi_environment_entry *found;
    size_t found_count;
    if (!collect(block, &found, &found_count))
        return false;
    if (found_count <= FEW) {
        drop_repeated_of_few(found, &found_count);
    } else if (!drop_repeated_of_many(found, &found_count)) {
        free(found);
        return false;
    }
    *entries = found;
    *count = found_count;
    return true;
}

static bool is_named(const pi_environment_entry *entry, const char *name) {
    return entry->name_length == strlen(name) && memcmp(entry->name, name, entry->name_length) == 0;
}

pi_site_role pi_site_role_of(pi_bytes block) {
    pi_site_role role = {0};
    bool pool_seen = false;
    pi_environment_entry entry;
    while (pi_environment_next(&block, &entry)) {
        pi_bytes value = {entry.value, entry.value_length};
        if (is_named(&entry, "APP_POOL_ID") && !pool_seen) {
            pool_seen = true;
            role.is_management_site = value.length >= 2 && memcmp(value.data, "~1", 2) == 0;
        } else if (is_named(&entry, "WEBJOBS_NAME") && role.web_job_name.data == NULL) {
            role.web_job_name = value;
        } else if (is_named(&entry, "WEBJOBS_TYPE") && role.web_job_type.data == NULL) {
            role.web_job_type = value;
        }
    }
    return role;
}
