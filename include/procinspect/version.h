/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_VERSION_H
#define PROCINSPECT_VERSION_H

#include <procinspect/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these headers. The ABI grows only: within one soname, what worked goes on working.
 */
#define PROCINSPECT_VERSION_MAJOR 0
#define PROCINSPECT_VERSION_MINOR 1
#define PROCINSPECT_VERSION_PATCH 0

/* The version of the library that runs: MAJOR << 16 | MINOR << 8 | PATCH. Any thread, any time. */
PROCINSPECT_API uint32_t procinspect_version(void);

/* The same as text, "0.1.0". Static, never freed. */
PROCINSPECT_API const char *procinspect_version_text(void);

#ifdef __cplusplus
}
#endif

#endif
