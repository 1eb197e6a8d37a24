/* SPDX-License-Identifier: MIT */
#include "json/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define TICKS_PER_SECOND INT64_C(10000000)
#define NANOSECONDS_PER_SECOND INT64_C(1000000000)

void pi_format_instant(char buffer[PI_INSTANT_CAPACITY], int64_t unix_ns) {
    int64_t seconds = unix_ns / NANOSECONDS_PER_SECOND;
    int64_t nanoseconds = unix_ns % NANOSECONDS_PER_SECOND;
    if (nanoseconds < 0) {
        nanoseconds += NANOSECONDS_PER_SECOND;
        seconds--;
    }
    /* 64 bits of nanoseconds reach from 1677 to 2262: gmtime_r can't fail for them. */
    time_t time = (time_t)seconds;
    struct tm parts = {0};
    gmtime_r(&time, &parts);
    size_t length = strftime(buffer, PI_INSTANT_CAPACITY, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(buffer + length, PI_INSTANT_CAPACITY - length, ".%07" PRId64 "Z",
             nanoseconds / PI_NANOSECONDS_PER_TICK);
}

void pi_format_span(char buffer[PI_SPAN_CAPACITY], int64_t ticks) {
    uint64_t rest = ticks < 0 ? -(uint64_t)ticks : (uint64_t)ticks;
    uint64_t fraction = rest % TICKS_PER_SECOND;
    uint64_t seconds = rest / TICKS_PER_SECOND;
    uint64_t days = seconds / 86400;

    char day_part[24] = "";
    char fraction_part[24] = "";
    if (days != 0)
        snprintf(day_part, sizeof day_part, "%" PRIu64 ".", days);
    if (fraction != 0)
        snprintf(fraction_part, sizeof fraction_part, ".%07" PRIu64, fraction);
    snprintf(buffer, PI_SPAN_CAPACITY, "%s%s%02u:%02u:%02u%s", ticks < 0 ? "-" : "", day_part,
             (unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60),
             (unsigned)(seconds % 60), fraction_part);
}

json_t *pi_json_size(uint64_t bytes) {
    return json_integer(bytes > INT64_MAX ? INT64_MAX : (json_int_t)bytes);
}

json_t *pi_json_count(uint64_t count) {
    return json_integer(count > INT32_MAX ? INT32_MAX : (json_int_t)count);
}
