/* SPDX-License-Identifier: MIT */
#ifndef PI_BASE_TEXT_H
#define PI_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Length of the valid UTF-8 sequence at the start of these bytes, 0 where there is none. */
size_t pi_utf8_sequence(const unsigned char *bytes, size_t length);

/* The longest prefix of at most `length` bytes that doesn't end inside a character. */
size_t pi_utf8_prefix(const char *text, size_t length);

/* True where the bytes are valid UTF-8, and so is every part of them that ends at ASCII. */
bool pi_utf8_is_valid(const void *bytes, size_t length);

/* True where the bytes are valid UTF-8 and none of them is NUL. */
bool pi_utf8_is_text(const void *bytes, size_t length);

/* The bytes as NUL-terminated UTF-8: what is not valid, and every NUL, becomes U+FFFD. NULL when
 * the arena is exhausted. */
char *pi_utf8_repair(pi_arena *arena, const void *bytes, size_t length);

/* The same of bytes that live as long as the arena and have a NUL behind them: they themselves
 * where nothing needs repair. */
const char *pi_utf8_terminated(pi_arena *arena, const char *bytes, size_t length);

/* The same into a fixed buffer, cut between characters where it is too small; always terminated.
 * For error messages. Control characters become U+FFFD too. */
void pi_utf8_repair_into(char *buffer, size_t capacity, const void *bytes, size_t length);

/*
 * An unsigned number at the start of bytes, in base 10 or 16 (lower or upper case, no prefix, no
 * sign, no space). Returns how many bytes it took, 0 where there is no digit or it exceeds 64 bits.
 */
size_t pi_parse_u64(const char *bytes, size_t length, unsigned base, uint64_t *value);

/* All of the bytes are one such number. */
bool pi_parse_u64_whole(const char *bytes, size_t length, unsigned base, uint64_t *value);

/* ASCII only: the locale has no say. */
bool pi_ascii_equal_ignoring_case(const char *left, size_t left_length, const char *right,
                                  size_t right_length);
bool pi_ascii_contains_ignoring_case(const char *text, size_t text_length, const char *part,
                                     size_t part_length);

#endif
