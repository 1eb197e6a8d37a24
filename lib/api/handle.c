/* SPDX-License-Identifier: MIT */
#include "api/handle.h"

#include "base/error.h"

pi_arena *pi_result_new(size_t root_size, procinspect_error *error) {
    pi_arena *arena = pi_arena_new(root_size, PI_RESULT_LIMIT_BYTES);
    if (arena == NULL)
        pi_error_no_memory(error);
    return arena;
}

int32_t pi_result_exhausted(const pi_arena *arena, procinspect_error *error) {
    if (!pi_arena_limit_reached(arena))
        return pi_error_no_memory(error);
    return pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                        "The answer would take more than %zu MiB; ask for fewer members.",
                        PI_RESULT_LIMIT_BYTES >> 20);
}

int32_t pi_members_check(uint64_t members, uint64_t known, procinspect_error *error) {
    if ((members & ~known) == 0)
        return PROCINSPECT_OK;
    return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                        "Members 0x%llx can't be asked for here; this call knows 0x%llx.",
                        (unsigned long long)(members & ~known), (unsigned long long)known);
}
