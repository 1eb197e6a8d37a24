/* SPDX-License-Identifier: MIT */
#ifndef TESTS_API_STREAM_CONTENT_H
#define TESTS_API_STREAM_CONTENT_H

#include <stddef.h>

#include <procinspect/stream.h>

/*
 * What is streamed into descriptors. All tests of that run twice: with what one thread passes on,
 * and with what two do.
 */
enum { SHORT_LENGTH = 1000003, LONG_LENGTH = 5000011 };

extern unsigned char content[LONG_LENGTH];
extern size_t content_length; /* SHORT_LENGTH until a test's main sets the other */

void fill_content(void);

/* Two ends of a pipe or a socket, of which the second, to be written to, blocks or doesn't: the
 * `which`-th of these four. */
void open_ends(int which, int ends[2]);

/* A stream of it, which takes over the caller's reference to the cancellation, nullable. */
procinspect_stream *content_stream(procinspect_cancellation *cancellation);

#endif
