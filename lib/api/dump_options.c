/* SPDX-License-Identifier: MIT */
#include "api/context.h"
#include "api/dump.h"
#include "base/error.h"
#include "base/options.h"

void procinspect_dump_options_init(procinspect_dump_options *options, size_t struct_size) {
    pi_options_init(options, struct_size);
}

int32_t pi_dump_options_take(const procinspect_dump_options *options,
                             procinspect_dump_options *known, procinspect_error *error) {
    return pi_options_take(options, known, sizeof *known,
                           PI_SIZE_THROUGH(procinspect_dump_options, cancellation),
                           "procinspect_dump_options", error);
}

int32_t pi_dump_options_check(const procinspect_process *process,
                              const procinspect_dump_options *options, procinspect_error *error) {
    uint32_t unknown =
        options->flags &
        ~(uint32_t)(PROCINSPECT_DUMP_ONLY_CHECK | PROCINSPECT_DUMP_SHARED_WHILE_STOPPED |
                    PROCINSPECT_DUMP_WITHOUT_DONTDUMP | PROCINSPECT_DUMP_REDACT);
    if (unknown != 0 || options->reserved != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_dump_options: flags has unknown bits (0x%x) or reserved "
                            "is not 0; leave them as _init does.",
                            (unsigned)unknown);
    int32_t code = pi_dump_type_check_known(options->type, error);
    if (code == PROCINSPECT_OK)
        code = pi_policy_check(process->context, PROCINSPECT_ACTION_DUMP, process->platform, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (!pi_system_is_live(process->context->system))
        return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                            "A context with a proc_root of its own can only look; use one without "
                            "proc_root to take dumps.");
    if (options->way > PROCINSPECT_DUMP_WAY_LIVE)
        return pi_error_set(
            error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
            "Way %u of taking a dump is not supported by this version; it has "
            "PROCINSPECT_DUMP_WAY_AUTO (0), HOLD (1), COPY (2), SPOOL (3) and LIVE (4).",
            (unsigned)options->way);
    return pi_dump_type_check_supported(options->type, pi_capture_types(), error);
}
