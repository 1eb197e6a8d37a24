/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_API_H
#define PROCINSPECT_API_H

/*
 * What every header of libprocinspect includes: the fixed-width types, and the mark of an exported
 * function. There is nothing here to call.
 */

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PROCINSPECT_API __attribute__((visibility("default")))
#else
#define PROCINSPECT_API
#endif

#endif
