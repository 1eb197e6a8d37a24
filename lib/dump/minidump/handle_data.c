/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

#include <stdlib.h>
#include <string.h>

/* Types are few, and each handle names one: those that were written already are found again. */
enum { REMEMBERED_TYPES = 16 };

typedef struct type_names {
    pi_bytes types[REMEMBERED_TYPES];
    uint32_t rvas[REMEMBERED_TYPES];
    size_t count;
} type_names;

typedef struct name_rvas {
    uint32_t type;
    uint32_t name; /* 0: it has none */
} name_rvas;

static int asked(const pi_snapshot *snapshot) {
    return pi_minidump_asks_for(snapshot, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA);
}

static uint32_t put_type(pi_minidump *minidump, type_names *names, pi_bytes type) {
    for (size_t i = 0; i < names->count; i++)
        if (names->types[i].length == type.length &&
            memcmp(names->types[i].data, type.data, type.length) == 0)
            return names->rvas[i];
    uint32_t rva = pi_minidump_put_string(minidump, type, (pi_bytes){0});
    if (names->count < REMEMBERED_TYPES) {
        names->types[names->count] = type;
        names->rvas[names->count++] = rva;
    }
    return rva;
}

/* In the terms of Windows' files. Those that only append have no right to write elsewhere there,
 * and no way to here. */
static uint32_t granted_access(uint32_t access) {
    return ((access & PI_ACCESS_READ) != 0 ? PI_HANDLE_READ_DATA : 0) |
           ((access & PI_ACCESS_WRITE) != 0 ? PI_HANDLE_WRITE_DATA : 0) |
           ((access & PI_ACCESS_APPEND) != 0 ? PI_HANDLE_APPEND_DATA : 0);
}

static void put_handle(pi_layout *layout, const pi_handle_snapshot *handle, name_rvas names) {
    pi_layout_u64(layout, handle->number);
    pi_layout_u32(layout, names.type);
    pi_layout_u32(layout, names.name);
    pi_layout_u32(layout, handle->is_inherited ? PI_HANDLE_ATTRIBUTE_INHERIT : 0);
    pi_layout_u32(layout, granted_access(handle->access));
    pi_layout_u32(layout, 0); /* how many handles and pointers the object has: not known */
    pi_layout_u32(layout, 0);
}

static void put_list(pi_minidump *minidump, const name_rvas *names) {
    const pi_snapshot *snapshot = minidump->snapshot;
    pi_layout *layout = &minidump->layout;
    pi_layout_align(layout, 8);
    uint64_t begin = layout->position;
    pi_layout_u32(layout, PI_MINIDUMP_HANDLE_HEADER_BYTES);
    pi_layout_u32(layout, PI_MINIDUMP_HANDLE_BYTES);
    pi_layout_u32(layout, (uint32_t)snapshot->handle_count);
    pi_layout_u32(layout, 0); /* reserved */
    for (size_t i = 0; i < snapshot->handle_count; i++)
        put_handle(layout, &snapshot->handles[i], names[i]);
    pi_minidump_add_stream(minidump, PI_STREAM_HANDLE_DATA, begin);
}

void pi_write_handle_data(pi_minidump *minidump) {
    const pi_snapshot *snapshot = minidump->snapshot;
    if (!asked(snapshot))
        return;
    name_rvas *names = calloc(snapshot->handle_count + 1, sizeof *names);
    if (names == NULL) {
        pi_layout_fail(&minidump->layout, PROCINSPECT_ERROR_NO_MEMORY);
        return;
    }
    type_names types = {.count = 0};
    for (size_t i = 0; i < snapshot->handle_count; i++) {
        const pi_handle_snapshot *handle = &snapshot->handles[i];
        names[i].type = put_type(minidump, &types, handle->type);
        if (handle->name.length != 0)
            names[i].name = pi_minidump_put_string(minidump, handle->name, (pi_bytes){0});
    }
    put_list(minidump, names);
    free(names);
}

uint64_t pi_handle_data_least_bytes(const pi_snapshot *beforehand) {
    if (!asked(beforehand))
        return 0;
    uint64_t bytes = PI_MINIDUMP_HANDLE_HEADER_BYTES +
                     (uint64_t)beforehand->handle_count * PI_MINIDUMP_HANDLE_BYTES;
    for (size_t i = 0; i < beforehand->handle_count; i++)
        if (beforehand->handles[i].name.length != 0)
            bytes += pi_minidump_string_size_bytes(beforehand->handles[i].name, (pi_bytes){0});
    return bytes;
}
