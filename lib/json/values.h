/* SPDX-License-Identifier: MIT */
#ifndef PI_JSON_VALUES_H
#define PI_JSON_VALUES_H

#include <stdint.h>

#include <jansson.h>

/* The value formats of .NET's serializers, which Kudu's clients parse. */

enum { PI_INSTANT_CAPACITY = 40, PI_SPAN_CAPACITY = 64, PI_NANOSECONDS_PER_TICK = 100 };

/* "2026-01-02T03:04:05.1234567Z": always seven digits, cut, not rounded, towards the past. */
void pi_format_instant(char buffer[PI_INSTANT_CAPACITY], int64_t unix_ns);

/* A span in .NET's ticks of 100 ns: "[-][d.]hh:mm:ss[.fffffff]". */
void pi_format_span(char buffer[PI_SPAN_CAPACITY], int64_t ticks);

/* Kudu's clients hold sizes in 64 bits with a sign, and counts and module_memory_size in 32. */
json_t *pi_json_size(uint64_t bytes);
json_t *pi_json_count(uint64_t count);

/* What stands for an instant, a span and a number that are not known. */
#define PI_UNKNOWN_INSTANT "0001-01-01T00:00:00"
#define PI_UNKNOWN_SPAN "-00:00:01"
enum { PI_UNKNOWN_NUMBER = -1 };

#endif
