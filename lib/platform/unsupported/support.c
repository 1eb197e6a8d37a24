/* SPDX-License-Identifier: MIT */
#include "platform/support.h"

#include "base/error.h"

/* Without a process that could be opened there is no origin, nor anything that takes one. */

int32_t pi_support_origin_open(const pi_process *process, pi_support_origin **origin,
                               procinspect_error *error) {
    (void)process;
    (void)origin;
    return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                        "libprocinspect doesn't know this operating system; it knows Linux.");
}

void pi_support_origin_close(pi_support_origin *origin) {
    (void)origin;
}

int32_t pi_support_search_open(const pi_support_origin *origin, bool from_target,
                               pi_support_search **search, procinspect_error *error) {
    (void)origin;
    (void)from_target;
    (void)search;
    return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                        "libprocinspect doesn't know this operating system; it knows Linux.");
}

void pi_support_search_close(pi_support_search *search) {
    (void)search;
}

void pi_support_find(pi_support_search *search, const pi_support_rule *rule,
                     const procinspect_module_info *module, uint64_t max_bytes,
                     pi_support_file *file) {
    (void)search;
    (void)rule;
    (void)module;
    (void)max_bytes;
    *file = (pi_support_file){.answer = PI_SUPPORT_ABSENT, .descriptor = -1};
}

const char *pi_support_file_read(const pi_support_file *file, uint64_t offset, void *buffer,
                                 size_t capacity, size_t *length) {
    (void)file;
    (void)offset;
    (void)buffer;
    (void)capacity;
    *length = 0;
    return NULL;
}

const char *pi_support_file_check(const pi_support_file *file) {
    (void)file;
    return NULL;
}
