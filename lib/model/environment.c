/* SPDX-License-Identifier: MIT */
#include "model/environment.h"

#include <stdlib.h>
#include <string.h>

/* Takes the next entry from *at on; false at the end. */
static inline bool take_entry(const char **at, const char *end, pi_environment_entry *entry) {
    while (*at < end) {
        const char *begin = *at;
        const char *nul = memchr(begin, '\0', (size_t)(end - begin));
        const char *entry_end = nul != NULL ? nul : end;
        const char *equals = memchr(begin, '=', (size_t)(entry_end - begin));
        *at = nul != NULL ? nul + 1 : end;
        if (equals == NULL)
            continue;
        entry->name = begin;
        entry->name_length = (size_t)(equals - begin);
        entry->value = equals + 1;
        entry->value_length = (size_t)(entry_end - entry->value);
        return true;
    }
    return false;
}

bool pi_environment_next(pi_bytes *block, pi_environment_entry *entry) {
    const char *at = block->data, *end = at + block->length;
    bool is_found = take_entry(&at, end, entry);
    *block = (pi_bytes){at, (size_t)(end - at)};
    return is_found;
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
static bool drop_repeated_of_many(pi_environment_entries *entries) {
    size_t count = entries->count;
    pi_environment_entry **sorted = malloc(count * sizeof(pi_environment_entry *));
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &entries->items[i];
    qsort(sorted, count, sizeof(pi_environment_entry *), compare_entries);
    const pi_environment_entry *first = sorted[0];
    for (size_t i = 1; i < count; i++) {
        if (same_name(first, sorted[i]))
            sorted[i]->value = NULL; /* marks it: no entry of a block has a NULL value */
        else
            first = sorted[i];
    }
    free(sorted);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (entries->items[i].value != NULL)
            entries->items[kept++] = entries->items[i];
    entries->count = kept;
    return true;
}

enum { FEW = 128, SLOTS = 2 * FEW };

/* Of the name's length and three of its letters: enough for the names that there are. */
static unsigned slot_of(const pi_environment_entry *entry) {
    const unsigned char *name = (const unsigned char *)entry->name;
    size_t length = entry->name_length;
    uint32_t mixed = (uint32_t)length;
    if (length != 0)
        mixed += (uint32_t)name[0] << 8 | (uint32_t)name[length / 2] << 16 |
                 (uint32_t)name[length - 1] << 24;
    return (mixed * UINT32_C(0x9e3779b1) >> 24) % SLOTS;
}

/* The same for what nearly every process has, without sorting. The table holds numbers of kept
 * entries, from 1. */
static void drop_repeated_of_few(pi_environment_entries *entries) {
    pi_environment_entry *items = entries->items;
    unsigned char table[SLOTS] = {0};
    size_t kept = 0;
    for (size_t i = 0; i < entries->count; i++) {
        unsigned slot = slot_of(&items[i]);
        while (table[slot] != 0 && !same_name(&items[table[slot] - 1], &items[i]))
            slot = (slot + 1) % SLOTS;
        if (table[slot] != 0)
            continue;
        if (kept != i)
            items[kept] = items[i];
        kept++;
        table[slot] = (unsigned char)kept;
    }
    entries->count = kept;
}

static bool grow(pi_environment_entries *entries) {
    size_t capacity = entries->capacity == 0 ? FEW : entries->capacity * 2;
    pi_environment_entry *items = realloc(entries->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    entries->items = items;
    entries->capacity = capacity;
    return true;
}

bool pi_environment_split(pi_bytes block, pi_environment_entries *entries) {
    const char *at = block.data, *end = at + block.length;
    size_t count = 0;
    do {
        if (count == entries->capacity && !grow(entries))
            return false;
    } while (take_entry(&at, end, &entries->items[count]) && ++count);
    entries->count = count;
    if (count > FEW)
        return drop_repeated_of_many(entries);
    drop_repeated_of_few(entries);
    return true;
}

void pi_environment_entries_free(pi_environment_entries *entries) {
    free(entries->items);
    *entries = (pi_environment_entries){0};
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
