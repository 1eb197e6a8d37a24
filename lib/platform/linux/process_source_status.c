/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "platform/linux/process_source.h"
#include "platform/linux/status.h"

enum {
    LONGEST_STATUS = 1024 * 1024, /* a process may be in 65,536 groups */
    MAX_OPEN_FILES = 1048576
};

static uint64_t take_status(const pi_status *status, uint64_t members,
                            procinspect_process_info *info) {
    const struct {
        uint64_t member;
        uint32_t bit;
        uint64_t value;
        uint64_t *to;
    } memory[] = {
        {PROCINSPECT_PROCESS_VIRTUAL_MEMORY, PI_STATUS_VM_SIZE, status->vm_size_bytes,
         &info->virtual_memory_bytes},
        {PROCINSPECT_PROCESS_PEAK_VIRTUAL_MEMORY, PI_STATUS_VM_PEAK, status->vm_peak_bytes,
         &info->peak_virtual_memory_bytes},
        {PROCINSPECT_PROCESS_RESIDENT_MEMORY, PI_STATUS_VM_RSS, status->vm_rss_bytes,
         &info->resident_memory_bytes},
        {PROCINSPECT_PROCESS_PEAK_RESIDENT_MEMORY, PI_STATUS_VM_HWM, status->vm_hwm_bytes,
         &info->peak_resident_memory_bytes},
        {PROCINSPECT_PROCESS_DATA_MEMORY, PI_STATUS_VM_DATA, status->vm_data_bytes,
         &info->data_memory_bytes},
        {PROCINSPECT_PROCESS_SWAPPED_MEMORY, PI_STATUS_VM_SWAP, status->vm_swap_bytes,
         &info->swapped_memory_bytes},
    };
    uint64_t known = 0;
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) {
        if ((members & memory[i].member) == 0 || (status->known & memory[i].bit) == 0)
            continue;
        *memory[i].to = memory[i].value;
        known |= memory[i].member;
    }
    if ((members & PROCINSPECT_PROCESS_TRACER) != 0 && (status->known & PI_STATUS_TRACER) != 0) {
        info->tracer_pid = status->tracer_pid;
        known |= PROCINSPECT_PROCESS_TRACER;
    }
    return known;
}

int32_t pi_source_status(pi_process_reading *reading, uint64_t members) {
    pi_buffer *text = &reading->reader->bytes;
    const pi_process_files *files = reading->program_files;
    int result = pi_proc_read_bytes(files->directory, pi_reading_path(files, "status").text, text,
                                    LONGEST_STATUS);
    uint64_t known = 0;
    if (result == 0) {
        pi_status status;
        pi_status_parse(text->data, text->length, &status);
        known = take_status(&status, members, reading->info);
    }
    int32_t turned = known != members ? pi_reading_turn(reading, members) : 0;
    if (turned != 0)
        return turned;
    if (result != 0)
        return pi_reading_failed(reading, members, -result);
    reading->info->known |= known;
    return known == members ? 0 : pi_reading_explain_nothing(reading, members & ~known, 0);
}

int32_t pi_source_open_file_count(pi_process_reading *reading, uint64_t members) {
    pi_numbers numbers = {0};
    const pi_process_files *files = reading->program_files;
    int result = pi_proc_read_numbers(files->directory, pi_reading_path(files, "fd").text,
                                      MAX_OPEN_FILES, &numbers);
    if (result != -E2BIG && numbers.count == 0) {
        free(numbers.items);
        numbers = (pi_numbers){0};
        int32_t turned = pi_reading_turn(reading, members);
        if (turned != 0)
            return turned;
        pi_stat_text text;
        pi_stat stat;
        /* Who has ended has nothing open, and the kernel shows that to root alone. */
        if ((result == -EACCES || result == -EPERM) &&
            pi_reading_stat(reading, &text, &stat) == 0 && pi_stat_is_dead(&stat) &&
            !pi_stat_has_lost_main_thread(&stat))
            result = 0;
    }
    if (result != 0 && result != -E2BIG)
        return pi_reading_failed(reading, members, -result);
    reading->info->open_file_count = result == 0 ? (uint32_t)numbers.count : MAX_OPEN_FILES;
    free(numbers.items);
    reading->info->known |= members;
    return 0;
}
