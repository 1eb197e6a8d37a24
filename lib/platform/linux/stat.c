/* SPDX-License-Identifier: MIT */
#include "platform/linux/stat.h"

#include <string.h>

/* include/linux/sched.h; not in the kernel's user headers, but as stable as field 9 itself. */
#define PF_EXITING UINT64_C(0x00000004)
#define PF_KTHREAD UINT64_C(0x00200000)

/* What is left of the line. Every field is taken with the separator that follows it, so that a line
 * that was cut within a number is not taken for a shorter number. */
typedef struct stat_cursor {
    const char *at;
    const char *end;
    bool failed;
} stat_cursor;

/* How many of these eight bytes are spaces. */
static int count_spaces(const char *bytes) {
    static const uint64_t lows = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    word ^= UINT64_C(0x2020202020202020);
    uint64_t spaces = ~(((word & lows) + lows) | word | lows); /* the high bit of each 0 */
    return (int)((spaces >> 7) * UINT64_C(0x0101010101010101) >> 56);
}

static void skip_fields(stat_cursor *cursor, int count) {
    const char *at = cursor->at;
    for (int spaces; cursor->end - at >= 8 && (spaces = count_spaces(at)) < count; at += 8)
        count -= spaces;
    for (; count > 0 && at < cursor->end; at++)
        count -= *at == ' ';
    cursor->at = at;
    cursor->failed |= count != 0;
}

static uint64_t take_unsigned(stat_cursor *cursor, uint64_t largest) {
    static const char most[] = "18446744073709551615"; /* UINT64_MAX */
    const size_t most_length = sizeof most - 1;
    const char *begin = cursor->at, *at = begin;
    uint64_t value = 0;
    for (; at < cursor->end && (unsigned char)(*at - '0') <= 9; at++)
        value = value * 10 + (unsigned char)(*at - '0');
    size_t length = (size_t)(at - begin);
    bool is_too_large = length > most_length ||
                        (length == most_length && memcmp(begin, most, most_length) > 0) ||
                        value > largest;
    if (length == 0 || is_too_large || at == cursor->end || *at != ' ') {
        cursor->failed = true;
        return 0;
    }
    cursor->at = at + 1;
    return value;
}

static int32_t take_signed(stat_cursor *cursor) {
    bool is_negative = cursor->at < cursor->end && *cursor->at == '-';
    if (is_negative)
        cursor->at++;
    int64_t magnitude = (int64_t)take_unsigned(cursor, INT32_MAX);
    return (int32_t)(is_negative ? -magnitude : magnitude);
}

static bool parse_fields_behind_name(stat_cursor *rest, pi_stat *stat) {
    stat->parent_pid = take_signed(rest);
    stat->process_group_id = take_signed(rest);
    stat->session_id = take_signed(rest);
    skip_fields(rest, 2); /* 7, 8: terminal */
    uint64_t flags = take_unsigned(rest, UINT32_MAX);
    stat->is_kernel_thread = (flags & PF_KTHREAD) != 0;
    stat->has_begun_to_end = (flags & PF_EXITING) != 0;
    skip_fields(rest, 4); /* 10 to 13: page faults */
    stat->user_ticks = take_unsigned(rest, UINT64_MAX);
    stat->kernel_ticks = take_unsigned(rest, UINT64_MAX);
    skip_fields(rest, 2); /* 16, 17: of children */
    stat->priority = take_signed(rest);
    stat->nice = take_signed(rest);
    stat->thread_count = (uint32_t)take_unsigned(rest, INT32_MAX);
    skip_fields(rest, 1); /* 21: a timer */
    stat->start_ticks = take_unsigned(rest, UINT64_MAX);
    skip_fields(rest, 15); /* 23 to 37: memory, signals */
    stat->exit_signal = take_signed(rest);
    skip_fields(rest, 1); /* 39: processor */
    stat->realtime_priority = (uint32_t)take_unsigned(rest, UINT32_MAX);
    stat->scheduling_policy = (uint32_t)take_unsigned(rest, UINT32_MAX);
    return !rest->failed;
}

bool pi_stat_parse(const char *bytes, size_t length, pi_stat *stat) {
    pi_stat parsed = {0};
    stat_cursor rest = {bytes, bytes + length, false};
    parsed.pid = (int32_t)take_unsigned(&rest, INT32_MAX);
    if (rest.failed || parsed.pid == 0 || rest.at == rest.end || *rest.at != '(')
        return false;
    parsed.name = rest.at + 1;
    /* A name may hold parentheses, spaces and newlines; nothing behind it can. */
    const char *name_end = memrchr(parsed.name, ')', (size_t)(rest.end - parsed.name));
    if (name_end == NULL)
        return false;
    parsed.name_length = (size_t)(name_end - parsed.name);
    if (rest.end - name_end < 4 || name_end[1] != ' ' || name_end[3] != ' ')
        return false;
    parsed.state = name_end[2];
    rest.at = name_end + 4;
    if (!parse_fields_behind_name(&rest, &parsed))
        return false;
    *stat = parsed;
    return true;
}

bool pi_stat_is_dead(const pi_stat *stat) {
    return stat->state == 'Z' || stat->state == 'X' || stat->state == 'x';
}

bool pi_stat_is_ending(const pi_stat *stat) {
    return stat->has_begun_to_end && stat->thread_count <= 1 && !pi_stat_is_dead(stat);
}

bool pi_stat_has_lost_main_thread(const pi_stat *stat) {
    return (stat->has_begun_to_end || pi_stat_is_dead(stat)) && stat->thread_count > 1;
}
