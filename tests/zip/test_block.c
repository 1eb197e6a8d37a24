/* SPDX-License-Identifier: MIT */
#include "zip/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "zip/made_up.h"

static unsigned char before_and_data[PI_ZIP_WINDOW_BYTES + PI_ZIP_BLOCK_BYTES];
static unsigned char packed[PI_ZIP_PACKED_BYTES];
static made_up source;

/* Inflates what was packed, behind the window, and compares. */
static void assert_unpacks(const pi_zip_block *block) {
    static unsigned char unpacked[PI_ZIP_BLOCK_BYTES + 1];
    z_stream inflating = {0};
    assert_int_equal(inflateInit2(&inflating, -MAX_WBITS), Z_OK);
    if (block->window_length != 0)
        assert_int_equal(inflateSetDictionary(&inflating, block->data - block->window_length,
                                              (uInt)block->window_length),
                         Z_OK);
    inflating.next_out = unpacked;
    inflating.avail_out = sizeof unpacked;
    inflating.next_in = block->packed;
    inflating.avail_in = (uInt)block->packed_length;
    assert_int_equal(inflate(&inflating, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(inflating.avail_in, 0);
    assert_int_equal(inflating.total_out, block->length);
    assert_memory_equal(unpacked, block->data, block->length);
    unsigned char end[] = PI_ZIP_ENTRY_END;
    inflating.next_in = end;
    inflating.avail_in = PI_ZIP_ENTRY_END_BYTES;
    assert_int_equal(inflate(&inflating, Z_FINISH), Z_STREAM_END);
    inflateEnd(&inflating);
    assert_int_equal(block->crc, crc32(0, block->data, (uInt)block->length));
}

static pi_zip_block block_of(made_up_kind kind, size_t window_length, size_t length) {
    static unsigned char images[3][sizeof before_and_data];
    static bool is_made[3];
    if (!is_made[kind]) {
        made_up_init(&source, kind, UINT64_MAX);
        made_up_copy(&source, 0, images[kind], sizeof images[kind]);
        is_made[kind] = true;
    }
    memcpy(before_and_data, images[kind], sizeof before_and_data);
    pi_zip_block block = {.window = before_and_data,
                          .window_length = window_length,
                          .data = before_and_data + PI_ZIP_WINDOW_BYTES,
                          .length = length,
                          .packed = packed};
    return block;
}

static void every_length_unpacks(void **state) {
    (void)state;
    static const size_t lengths[] = {1,     2,     100,    8191,   8192,   65534,
                                     65535, 65536, 131069, 131070, 131071, 131072};
    static const size_t windows[] = {0, 1, 32768};
    static const made_up_kind kinds[] = {MADE_UP_ZEROS, MADE_UP_RANDOM, MADE_UP_CODE};
    static const int levels[] = {0, 1, 6, 9};
    for (size_t each = 0; each < 4; each++) {
        pi_zip_compressor compressor;
        pi_zip_zero_block zeros;
        pi_zip_block scratch = block_of(MADE_UP_ZEROS, 0, 0);
        assert_true(pi_zip_compressor_init(&compressor, levels[each]));
        assert_true(pi_zip_zero_block_make(&scratch, &zeros));
        for (size_t i = 0; i < 3 * 3 * sizeof lengths / sizeof lengths[0]; i++) {
            pi_zip_block block = block_of(kinds[i % 3], windows[i / 3 % 3], lengths[i / 9]);
            pi_zip_block_pack(&compressor, &zeros, &block);
            assert_true(block.packed_length <= PI_ZIP_PACKED_BYTES);
            assert_unpacks(&block);
        }
        pi_zip_compressor_end(&compressor);
    }
}

static void zeros_are_a_copy(void **state) {
    (void)state;
    pi_zip_compressor compressor;
    pi_zip_zero_block zeros;
    pi_zip_block block = block_of(MADE_UP_ZEROS, 0, PI_ZIP_BLOCK_BYTES);
    assert_true(pi_zip_compressor_init(&compressor, 1));
    assert_true(pi_zip_zero_block_make(&block, &zeros));
    assert_true(zeros.packed_length > 0 && zeros.packed_length < 200);
    zeros.packed[0] ^= 1; /* so that it shows */
    pi_zip_block_pack(&compressor, &zeros, &block);
    assert_memory_equal(block.packed, zeros.packed, zeros.packed_length);
    zeros.packed[0] ^= 1;
    static const size_t not_quite[] = {0, 1, 65536, PI_ZIP_BLOCK_BYTES - 1};
    for (size_t i = 0; i < 4; i++) {
        block = block_of(MADE_UP_ZEROS, 0, PI_ZIP_BLOCK_BYTES);
        block.data[not_quite[i]] = 1;
        pi_zip_block_pack(&compressor, &zeros, &block);
        assert_unpacks(&block);
    }
    pi_zip_compressor_end(&compressor);
}

static void random_bytes_are_stored(void **state) {
    (void)state;
    pi_zip_compressor compressor;
    pi_zip_zero_block zeros = {.packed_length = 0};
    assert_true(pi_zip_compressor_init(&compressor, 9));
    pi_zip_block block = block_of(MADE_UP_RANDOM, PI_ZIP_WINDOW_BYTES, PI_ZIP_BLOCK_BYTES);
    pi_zip_block_pack(&compressor, &zeros, &block);
    assert_int_equal(block.packed_length, PI_ZIP_PACKED_BYTES);
    assert_unpacks(&block);
    pi_zip_compressor_end(&compressor);
}

static void the_window_is_used(void **state) {
    (void)state;
    pi_zip_compressor compressor;
    pi_zip_zero_block zeros = {.packed_length = 0};
    assert_true(pi_zip_compressor_init(&compressor, 1));
    pi_zip_block block = block_of(MADE_UP_RANDOM, PI_ZIP_WINDOW_BYTES, 4096);
    memcpy(block.data, before_and_data + 4096, 4096); /* is nowhere but in the window */
    pi_zip_block_pack(&compressor, &zeros, &block);
    assert_true(block.packed_length < 200);
    assert_unpacks(&block);
    pi_zip_compressor_end(&compressor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_unpacks),
        cmocka_unit_test(zeros_are_a_copy),
        cmocka_unit_test(random_bytes_are_stored),
        cmocka_unit_test(the_window_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
