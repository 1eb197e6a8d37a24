/* SPDX-License-Identifier: MIT */
#include "stream_content.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/stream.h"

unsigned char content[LONG_LENGTH];
size_t content_length = SHORT_LENGTH;

void fill_content(void) {
    for (size_t i = 0; i < LONG_LENGTH; i++)
        content[i] = (unsigned char)((i * 0x9e3779b97f4a7c15u) >> 56);
}

void open_ends(int which, int ends[2]) {
    if (which & 2)
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    else
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    if (which & 1)
        assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
}

procinspect_stream *content_stream(procinspect_cancellation *cancellation) {
    procinspect_stream *stream;
    assert_int_equal(procinspect_stream_open_bytes(content, content_length, &stream, NULL), 0);
    /* Only streams over dumps are given one from outside. */
    assert_null(stream->cancellation);
    stream->cancellation = cancellation;
    return stream;
}
