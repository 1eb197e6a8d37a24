/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/parts.h"
#include "platform/linux/maps.h"

/* Goes along the modules, by ascending address as the mappings are. */
typedef struct module_cursor {
    const procinspect_module_list *modules;
    size_t next;      /* the first module that doesn't end below the mapping */
    pi_mapping first; /* of that module: its header's; end 0 before it was met */
} module_cursor;

static bool is_of_same_file(const pi_mapping *one, const pi_mapping *other) {
    return one->inode == other->inode && one->device_major == other->device_major &&
           one->device_minor == other->device_minor;
}

/* The module that the mapping is of, or NULL: what else lies between a module's segments isn't. The
 * vDSO has no file, and is one mapping. */
static const procinspect_module_info *module_of(module_cursor *cursor, const pi_mapping *mapping) {
    const procinspect_module_info *module = NULL;
    for (; cursor->next < cursor->modules->count; cursor->next++) {
        module = cursor->modules->items[cursor->next];
        if (mapping->start < module->base_address ||
            mapping->start - module->base_address < module->size_bytes)
            break;
        cursor->first = (pi_mapping){0};
    }
    if (cursor->next == cursor->modules->count || mapping->start < module->base_address)
        return NULL;
    if (mapping->start == module->base_address) {
        cursor->first = *mapping;
        return module;
    }
    return cursor->first.end != 0 && mapping->inode != 0 && is_of_same_file(&cursor->first, mapping)
               ? module
               : NULL;
}

static uint32_t access_of(const pi_mapping *mapping) {
    return ((mapping->permissions & PI_MAPPING_READ) != 0 ? PI_ACCESS_READ : 0u) |
           ((mapping->permissions & PI_MAPPING_WRITE) != 0 ? PI_ACCESS_WRITE : 0u) |
           ((mapping->permissions & PI_MAPPING_EXECUTE) != 0 ? PI_ACCESS_EXECUTE : 0u);
}

static pi_region_snapshot region_of(module_cursor *cursor, const pi_mapping *mapping) {
    const procinspect_module_info *module = module_of(cursor, mapping);
    bool is_mapped = mapping->inode != 0 || (mapping->permissions & PI_MAPPING_SHARED) != 0;
    return (pi_region_snapshot){
        .range = {mapping->start, mapping->end - mapping->start},
        .allocation_address = module != NULL ? module->base_address : mapping->start,
        .access = access_of(mapping),
        .kind = module != NULL ? PI_REGION_IMAGE
                : is_mapped    ? PI_REGION_MAPPED
                               : PI_REGION_PRIVATE,
    };
}

static size_t count_mappings(pi_bytes maps) {
    pi_maps_cursor text = {maps.data, (const char *)maps.data + maps.length};
    pi_mapping mapping;
    size_t count = 0;
    while (pi_maps_next(&text, &mapping))
        count++;
    return count;
}

int32_t pi_capture_regions(pi_arena *arena, pi_snapshot *snapshot, procinspect_error *error) {
    pi_bytes maps = snapshot->texts[PI_TEXT_MAPS];
    size_t count = count_mappings(maps);
    snapshot->regions = pi_arena_alloc_array(arena, count + 1, sizeof *snapshot->regions);
    if (snapshot->regions == NULL)
        return pi_capture_exhausted(arena, error);
    module_cursor modules = {.modules = snapshot->modules};
    pi_maps_cursor text = {maps.data, (const char *)maps.data + maps.length};
    pi_mapping mapping;
    while (snapshot->region_count < count && pi_maps_next(&text, &mapping))
        snapshot->regions[snapshot->region_count++] = region_of(&modules, &mapping);
    return PROCINSPECT_OK;
}
