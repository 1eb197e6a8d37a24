/* SPDX-License-Identifier: MIT */
#include "platform/linux/process_reader.h"

#include "platform/linux/process_source.h"

#define OWNER_MEMBERS (PROCINSPECT_PROCESS_USER_ID | PROCINSPECT_PROCESS_USER_NAME)
#define ENVIRON_MEMBERS                                                                            \
    (PROCINSPECT_PROCESS_SITE_ROLE | PROCINSPECT_PROCESS_WEB_JOB | PROCINSPECT_PROCESS_ENVIRONMENT)
#define STATUS_MEMBERS                                                                             \
    (PROCINSPECT_PROCESS_TRACER | PROCINSPECT_PROCESS_VIRTUAL_MEMORY |                             \
     PROCINSPECT_PROCESS_PEAK_VIRTUAL_MEMORY | PROCINSPECT_PROCESS_RESIDENT_MEMORY |               \
     PROCINSPECT_PROCESS_PEAK_RESIDENT_MEMORY | PROCINSPECT_PROCESS_DATA_MEMORY |                  \
     PROCINSPECT_PROCESS_SWAPPED_MEMORY)

/* Each file with the members that it answers. The one that tells when the process was started is
 * the last: that shows whose the others were. */
static const struct {
    uint64_t members;
    int32_t (*read)(pi_process_reading *reading, uint64_t members); /* PI_READING_AGAIN, too */
    bool has_share; /* the process says how long it is */
} sources[] = {
    {OWNER_MEMBERS, pi_source_owner, false},
    {PROCINSPECT_PROCESS_COMMAND_LINE, pi_source_command_line, true},
    {PROCINSPECT_PROCESS_EXECUTABLE, pi_source_executable, true},
    {STATUS_MEMBERS, pi_source_status, false},
    {PROCINSPECT_PROCESS_OPEN_FILE_COUNT, pi_source_open_file_count, false},
    {ENVIRON_MEMBERS, pi_source_environment, true},
    {PI_STAT_MEMBERS, pi_source_stat, false},
};
enum { SOURCE_COUNT = sizeof sources / sizeof sources[0] };

static int32_t read_source(pi_process_reading *reading, size_t source, uint64_t members) {
    int32_t code;
    reading->has_turned = false;
    do
        code = sources[source].read(reading, members);
    while (code == PI_READING_AGAIN);
    return code;
}

/* Takes it from the process's share; what doesn't fit is left out. */
static int32_t read_with_share(pi_process_reading *reading, size_t source, uint64_t members,
                               size_t *share) {
    pi_arena *arena = reading->reader->arena;
    pi_arena_begin_share(arena, *share);
    int32_t code = read_source(reading, source, members);
    *share = pi_arena_end_share(arena);
    if (code == PI_READING_TOO_LONG)
        return pi_reading_add_unavailable(
            reading, members & ~reading->info->known, PROCINSPECT_ERROR_TOO_LARGE, 0,
            "It is longer than the share of one process in a listing of so many; ask this process "
            "alone.");
    return code;
}

/* The reasons that were noted, into the arena. */
static int32_t keep_unavailable(pi_process_reading *reading) {
    size_t count = reading->unavailable_count;
    if (count == 0)
        return 0;
    pi_arena *arena = reading->reader->arena;
    procinspect_unavailable *kept = pi_arena_alloc_array(arena, count, sizeof *kept);
    const procinspect_unavailable **items = pi_arena_alloc_array(arena, count, sizeof *items);
    if (kept == NULL || items == NULL)
        return pi_reading_exhausted(reading->reader);
    for (size_t i = 0; i < count; i++) {
        kept[i] = reading->unavailable[i];
        items[i] = &kept[i];
    }
    reading->info->unavailable = items;
    reading->info->unavailable_count = count;
    return 0;
}

int32_t pi_process_reader_read(pi_process_reader *reader, const pi_process_files *files,
                               procinspect_process_info *info) {
    pi_process_reading reading = {
        .reader = reader, .files = files, .program_files = files, .info = info};
    size_t share = reader->share;
    reader->start_ticks = UINT64_MAX;
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        uint64_t members = sources[i].members & reader->members;
        if (members == 0)
            continue;
        int32_t code = sources[i].has_share ? read_with_share(&reading, i, members, &share)
                                            : read_source(&reading, i, members);
        if (code != 0)
            return code;
    }
    return keep_unavailable(&reading);
}

void pi_process_reader_end(pi_process_reader *reader) {
    pi_buffer_free(&reader->bytes);
    pi_user_names_free(&reader->user_names);
}
