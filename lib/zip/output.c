/* SPDX-License-Identifier: MIT */
#include "zip/output.h"

#include <string.h>

bool pi_zip_output_write(pi_zip_output *output, const void *bytes, size_t length) {
    if (output->is_closed)
        return false;
    size_t needed = output->waiting.length + length;
    size_t doubled = 2 * output->waiting.capacity;
    if (needed > output->waiting.capacity &&
        pi_buffer_reserve(&output->waiting, needed > doubled ? needed : doubled) != 0) {
        output->is_out_of_memory = true;
        return false;
    }
    memcpy(output->waiting.data + output->waiting.length, bytes, length);
    output->waiting.length += length;
    output->end_bytes += length;
    output->seen_position = output->end_bytes;
    return true;
}

size_t pi_zip_output_waiting_bytes(const pi_zip_output *output) {
    return output->waiting.length - output->begin;
}

size_t pi_zip_output_hand_on(pi_zip_output *output, void *buffer, size_t capacity) {
    size_t waiting = pi_zip_output_waiting_bytes(output);
    size_t length = waiting < capacity ? waiting : capacity;
    memcpy(buffer, output->waiting.data + output->begin, length);
    output->begin += length;
    if (output->begin == output->waiting.length)
        output->begin = output->waiting.length = 0;
    return length;
}

static voidpf ZCALLBACK open_output(voidpf output, const void *name, int mode) {
    (void)name;
    (void)mode;
    return output;
}

static uLong ZCALLBACK read_nothing(voidpf output, voidpf stream, void *bytes, uLong length) {
    (void)output;
    (void)stream;
    (void)bytes;
    (void)length;
    return 0;
}

static uLong ZCALLBACK write_bytes(voidpf user, voidpf stream, const void *bytes, uLong length) {
    (void)stream;
    pi_zip_output *output = user;
    if (output->seen_position == output->end_bytes)
        return pi_zip_output_write(output, bytes, length) ? length : 0;
    /* A local header is never the end of what was written. */
    if (output->is_closed || length > output->end_bytes - output->seen_position)
        return 0;
    output->seen_position += length;
    return length;
}

static ZPOS64_T ZCALLBACK tell_position(voidpf output, voidpf stream) {
    (void)stream;
    return ((const pi_zip_output *)output)->seen_position;
}

static long ZCALLBACK seek_position(voidpf user, voidpf stream, ZPOS64_T offset, int origin) {
    (void)stream;
    pi_zip_output *output = user;
    if (origin != ZLIB_FILEFUNC_SEEK_SET || offset > output->end_bytes)
        return -1;
    output->seen_position = offset;
    return 0;
}

static int ZCALLBACK close_output(voidpf output, voidpf stream) {
    (void)output;
    (void)stream;
    return 0;
}

static int ZCALLBACK has_failed(voidpf output, voidpf stream) {
    (void)stream;
    return ((const pi_zip_output *)output)->is_out_of_memory;
}

zlib_filefunc64_def pi_zip_output_functions(pi_zip_output *output) {
    return (zlib_filefunc64_def){
        .zopen64_file = open_output,
        .zread_file = read_nothing,
        .zwrite_file = write_bytes,
        .ztell64_file = tell_position,
        .zseek64_file = seek_position,
        .zclose_file = close_output,
        .zerror_file = has_failed,
        .opaque = output,
    };
}
