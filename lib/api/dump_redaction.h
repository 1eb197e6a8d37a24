/* SPDX-License-Identifier: MIT */
#ifndef PI_API_DUMP_REDACTION_H
#define PI_API_DUMP_REDACTION_H

#include "api/context.h"
#include "dump/redaction.h"

/* Which environment values a dump doesn't show: those of the context's redacted_names, or all. */
typedef struct pi_dump_redaction {
    bool has_all;
    pi_redaction *values;  /* NULL: nothing is redacted; to be freed */
    size_t variable_count; /* as the process had them before it was captured */
} pi_dump_redaction;

/* Before the capture: what the process has. */
int32_t pi_dump_redaction_begin(pi_dump_redaction *redaction, const procinspect_process *process,
                                bool has_all, procinspect_error *error);

/* After it: what the dump has, and the process, should it have executed another program since. */
int32_t pi_dump_redaction_finish(pi_dump_redaction *redaction, const procinspect_process *process,
                                 pi_bytes dumped, procinspect_error *error);

#endif
