/* SPDX-License-Identifier: MIT */
#include "platform/linux/status.h"

#include <string.h>

#include "base/text.h"

typedef struct status_member {
    const char *key; /* with its colon */
    uint32_t bit;
    size_t offset;  /* in pi_status */
    bool is_memory; /* "1234 kB"; else a process id */
} status_member;

static const status_member members[] = {
    {"Tgid:", PI_STATUS_TGID, offsetof(pi_status, thread_group_id), false},
    {"TracerPid:", PI_STATUS_TRACER, offsetof(pi_status, tracer_pid), false},
    {"VmPeak:", PI_STATUS_VM_PEAK, offsetof(pi_status, vm_peak_bytes), true},
    {"VmSize:", PI_STATUS_VM_SIZE, offsetof(pi_status, vm_size_bytes), true},
    {"VmHWM:", PI_STATUS_VM_HWM, offsetof(pi_status, vm_hwm_bytes), true},
    {"VmRSS:", PI_STATUS_VM_RSS, offsetof(pi_status, vm_rss_bytes), true},
    {"VmData:", PI_STATUS_VM_DATA, offsetof(pi_status, vm_data_bytes), true},
    {"VmSwap:", PI_STATUS_VM_SWAP, offsetof(pi_status, vm_swap_bytes), true},
};

static void take_value(const status_member *member, const char *value, size_t length,
                       pi_status *status) {
    while (length != 0 && (*value == ' ' || *value == '\t'))
        value++, length--;
    uint64_t number;
    size_t used = pi_parse_u64(value, length, 10, &number);
    if (used == 0)
        return;
    char *to = (char *)status + member->offset;
    if (member->is_memory) {
        static const char unit[] = " kB";
        if (length - used != sizeof unit - 1 || memcmp(value + used, unit, sizeof unit - 1) != 0 ||
            number > UINT64_MAX / 1024)
            return;
        number *= 1024;
        memcpy(to, &number, sizeof number);
    } else {
        if (used != length || number > INT32_MAX)
            return;
        memcpy(to, &(int32_t){(int32_t)number}, sizeof(int32_t));
    }
    status->known |= member->bit;
}

static void take_line(const char *line, size_t length, pi_status *status) {
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        size_t key_length = strlen(members[i].key);
        /* The first line of a key counts. No line can be forged: the kernel escapes newlines in
         * Name. */
        if (length > key_length && memcmp(line, members[i].key, key_length) == 0 &&
            (status->known & members[i].bit) == 0) {
            take_value(&members[i], line + key_length, length - key_length, status);
            return;
        }
    }
}

void pi_status_parse(const char *bytes, size_t length, pi_status *status) {
    *status = (pi_status){0};
    const char *end = bytes + length;
    while (bytes < end) {
        const char *line_end = memchr(bytes, '\n', (size_t)(end - bytes));
        if (line_end == NULL)
            return;
        take_line(bytes, (size_t)(line_end - bytes), status);
        bytes = line_end + 1;
    }
}
