/* SPDX-License-Identifier: MIT */
#ifndef PI_API_DUMP_H
#define PI_API_DUMP_H

#include <procinspect/dump.h>

#include "platform/support.h"

/* Another reference, given up with procinspect_dump_free. */
procinspect_dump *pi_dump_retain(procinspect_dump *dump);

/* Where the process's files are, and its modules; they live as long as the dump. */
const pi_support_origin *pi_dump_support_origin(const procinspect_dump *dump);
const procinspect_module_list *pi_dump_modules(const procinspect_dump *dump);

/* The options, which may be NULL, as this version knows them. */
int32_t pi_dump_options_take(const procinspect_dump_options *options,
                             procinspect_dump_options *known, procinspect_error *error);

/* May this be done, to this process, by this version? */
int32_t pi_dump_options_check(const procinspect_process *process,
                              const procinspect_dump_options *options, procinspect_error *error);

/* 0; INVALID_ARGUMENT for bits that no dump type has; UNSUPPORTED for those beyond `supported`.
 * Both name the bits, the second says what is supported. */
int32_t pi_dump_type_check_known(uint32_t type, procinspect_error *error);
int32_t pi_dump_type_check_supported(uint32_t type, uint32_t supported, procinspect_error *error);

#endif
