/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "dump/minidump/module_names.h"

enum { TEXT_HASH_LENGTH = 16 };

typedef struct module_entry {
    const procinspect_module_info *info;
    uint64_t size_bytes;
    uint32_t name_rva;
    pi_location code_view;
} module_entry;

/*
 * The modules that readers accept, by ascending base: none empty, no base twice, and none that
 * reaches into the next one (an object's mappings may leave room for another's in between). Returns
 * their number.
 */
static size_t choose_modules(const procinspect_module_list *modules, module_entry *entries) {
    size_t count = 0;
    for (size_t i = 0; i < modules->count; i++) {
        const procinspect_module_info *info = modules->items[i];
        uint64_t size = info->size_bytes;
        if (size > UINT64_MAX - info->base_address)
            size = UINT64_MAX - info->base_address;
        module_entry *last = count == 0 ? NULL : &entries[count - 1];
        if (size == 0 || (last != NULL && info->base_address <= last->info->base_address))
            continue;
        if (last != NULL && last->size_bytes > info->base_address - last->info->base_address)
            last->size_bytes = info->base_address - last->info->base_address;
        entries[count++] = (module_entry){.info = info, .size_bytes = size};
    }
    return count;
}

/* The entries are by ascending base. */
static void put_names(pi_minidump *minidump, module_entry *entries, size_t count) {
    pi_module_name *names = calloc(count + 1, sizeof *names);
    pi_memory_range *ranges = calloc(count + 1, sizeof *ranges);
    bool has_memory = names != NULL && ranges != NULL;
    for (size_t i = 0; has_memory && i < count; i++) {
        names[i] = pi_module_name_of(entries[i].info);
        ranges[i] = (pi_memory_range){entries[i].info->base_address, entries[i].size_bytes};
    }
    if (!has_memory || !pi_module_names_number_copies(minidump->snapshot, ranges, names, count))
        pi_layout_fail(&minidump->layout, PROCINSPECT_ERROR_NO_MEMORY);
    else
        for (size_t i = 0; i < count; i++)
            entries[i].name_rva = pi_module_name_put(minidump, &names[i]);
    free(ranges);
    free(names);
}

/* Readers take the first module for the program. */
static void move_program_first(module_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!(entries[i].info->flags & PROCINSPECT_MODULE_FLAG_EXECUTABLE))
            continue;
        module_entry program = entries[i];
        memmove(entries + 1, entries, i * sizeof *entries);
        entries[0] = program;
        return;
    }
}

/* The build id, else what Breakpad takes in its place; with neither, readers go by the name. */
static pi_location put_code_view(pi_minidump *minidump, const procinspect_module_info *info) {
    pi_layout *layout = &minidump->layout;
    pi_bytes id = {info->build_id, info->build_id_length};
    if (id.data == NULL || id.length == 0)
        id = (pi_bytes){info->text_hash, TEXT_HASH_LENGTH};
    if (id.data == NULL)
        return (pi_location){0};
    pi_layout_align(layout, 4);
    uint64_t begin = layout->position;
    pi_layout_u32(layout, PI_CODE_VIEW_ELF_BUILD_ID);
    pi_layout_bytes(layout, id.data, id.length);
    return pi_minidump_location(minidump, begin);
}

static uint32_t pair(uint32_t high, uint32_t low) {
    return (high > 0xffff ? 0xffffu : high) << 16 | (low > 0xffff ? 0xffffu : low);
}

/* VS_FIXEDFILEINFO: four numbers of 16 bits; the file's stand for the product's too. */
static void put_version(pi_layout *layout, const procinspect_module_info *info) {
    if (info->file_version == NULL) {
        pi_layout_zeros(layout, 52);
        return;
    }
    const uint32_t *parts = info->file_version_parts;
    pi_layout_u32(layout, PI_VERSION_INFO_SIGNATURE);
    pi_layout_u32(layout, PI_VERSION_INFO_VERSION);
    for (int i = 0; i < 2; i++) {
        pi_layout_u32(layout, pair(parts[0], parts[1]));
        pi_layout_u32(layout, pair(parts[2], parts[3]));
    }
    pi_layout_zeros(layout, 28); /* flags, system, type, date */
}

static void put_entry(pi_minidump *minidump, const module_entry *entry) {
    pi_layout *layout = &minidump->layout;
    pi_layout_u64(layout, entry->info->base_address);
    pi_layout_u32(layout,
                  entry->size_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)entry->size_bytes);
    pi_layout_u32(layout, 0); /* checksum */
    pi_layout_u32(layout, 0); /* time stamp */
    pi_layout_u32(layout, entry->name_rva);
    put_version(layout, entry->info);
    pi_minidump_put_location(minidump, entry->code_view);
    pi_minidump_put_location(minidump, (pi_location){0}); /* miscellaneous record: none */
    pi_layout_zeros(layout, 16);                          /* reserved */
}

void pi_write_module_list(pi_minidump *minidump) {
    pi_layout *layout = &minidump->layout;
    static const procinspect_module_list none = {0};
    const procinspect_module_list *modules = minidump->snapshot->modules;
    if (modules == NULL)
        modules = &none;
    module_entry *entries = calloc(modules->count + 1, sizeof *entries);
    if (entries == NULL) {
        pi_layout_fail(layout, PROCINSPECT_ERROR_NO_MEMORY);
        return;
    }
    size_t count = choose_modules(modules, entries);
    put_names(minidump, entries, count);
    move_program_first(entries, count);
    for (size_t i = 0; i < count; i++)
        entries[i].code_view = put_code_view(minidump, entries[i].info);
    pi_layout_align(layout, 4);
    uint64_t begin = layout->position;
    pi_layout_u32(layout, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        put_entry(minidump, &entries[i]);
    pi_minidump_add_stream(minidump, PI_STREAM_MODULE_LIST, begin);
    free(entries);
}
