/* SPDX-License-Identifier: MIT */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <minizip/zip.h>

#include "bench/bench.h"
#include "zip/made_up.h"
#include "zip/zip.h"

/* A zip of an image in memory, beside the same by minizip alone, as its users write one: both at
 * the same level, into nothing. */

enum { ROUNDS = 51, MIB = 1024 * 1024, CODE_BYTES = 8 * MIB, IMAGE_BYTES = 32 * MIB, LEVEL = 1 };

typedef struct image {
    const char *name;
    unsigned char *bytes;
    size_t length;
    size_t position;
} image;

static unsigned char *allocate(size_t length) {
    unsigned char *bytes = malloc(length);
    if (bytes == NULL)
        bench_fail("out of memory");
    return bytes;
}

/* Shared libraries of the system one after the other, over and over if they are too few. */
static image code_image(void) {
    image code = {"machine code", allocate(CODE_BYTES), 0, 0};
    glob_t found;
    if (glob("/usr/lib/*-linux-gnu*/lib*.so*", 0, NULL, &found) != 0)
        bench_fail("no shared libraries in /usr/lib");
    for (size_t i = 0; code.length < CODE_BYTES; i = (i + 1) % found.gl_pathc) {
        FILE *file = fopen(found.gl_pathv[i], "rb");
        if (file == NULL)
            continue;
        code.length += fread(code.bytes + code.length, 1, CODE_BYTES - code.length, file);
        fclose(file);
    }
    globfree(&found);
    return code;
}

/* Half of it zeros, a quarter random, a quarter code, in runs of 1 MiB. */
static image memory_image(const image *code) {
    static made_up random;
    image memory = {"a memory image", allocate(IMAGE_BYTES), IMAGE_BYTES, 0};
    made_up_init(&random, MADE_UP_RANDOM, IMAGE_BYTES);
    memset(memory.bytes, 0, IMAGE_BYTES);
    for (size_t at = 0; at < IMAGE_BYTES; at += 4 * MIB) {
        memcpy(memory.bytes + at, code->bytes + at / 4 % CODE_BYTES, MIB);
        made_up_copy(&random, at, memory.bytes + at + 2 * MIB, MIB);
    }
    return memory;
}

static voidpf open_nothing(voidpf position, const void *name, int mode) {
    (void)name;
    (void)mode;
    return position;
}

static uLong write_nothing(voidpf position, voidpf stream, const void *bytes, uLong length) {
    (void)stream;
    (void)bytes;
    *(uint64_t *)position += length;
    return length;
}

static ZPOS64_T tell_nothing(voidpf position, voidpf stream) {
    (void)stream;
    return *(uint64_t *)position;
}

static long seek_nothing(voidpf position, voidpf stream, ZPOS64_T offset, int origin) {
    (void)stream;
    (void)origin;
    *(uint64_t *)position = offset;
    return 0;
}

static int say_nothing(voidpf position, voidpf stream) {
    (void)position;
    (void)stream;
    return 0;
}

/* Both return the length of the zip. */
static uint64_t zip_by_minizip(const image *from) {
    enum { PART_BYTES = 64 * 1024 };
    uint64_t position = 0;
    zlib_filefunc64_def nowhere = {.zopen64_file = open_nothing,
                                   .zwrite_file = write_nothing,
                                   .ztell64_file = tell_nothing,
                                   .zseek64_file = seek_nothing,
                                   .zclose_file = say_nothing,
                                   .zerror_file = say_nothing,
                                   .opaque = &position};
    zip_fileinfo info = {0};
    zipFile zip = zipOpen2_64("", APPEND_STATUS_CREATE, NULL, &nowhere);
    if (zip == NULL || zipOpenNewFileInZip64(zip, "minidump.dmp", &info, NULL, 0, NULL, 0, NULL,
                                             Z_DEFLATED, LEVEL, 1) != ZIP_OK)
        bench_fail("minizip can't begin");
    for (size_t at = 0; at < from->length; at += PART_BYTES)
        if (zipWriteInFileInZip(zip, from->bytes + at, PART_BYTES) != ZIP_OK)
            bench_fail("minizip can't write");
    if (zipCloseFileInZip(zip) != ZIP_OK || zipClose(zip, NULL) != ZIP_OK)
        bench_fail("minizip can't end");
    return position;
}

static int32_t read_image(void *user, void *buffer, size_t capacity, size_t *length,
                          procinspect_error *error) {
    (void)error;
    image *from = user;
    size_t left = from->length - from->position;
    *length = left < capacity ? left : capacity;
    memcpy(buffer, from->bytes + from->position, *length);
    from->position += *length;
    return 0;
}

static uint64_t zip_by_ours(image *from, uint32_t workers) {
    static unsigned char part[256 * 1024];
    pi_zip_entry entry = {"minidump.dmp", from->length, read_image, from};
    pi_zip_options options = {&entry, 1, LEVEL, workers, 0};
    procinspect_error error;
    pi_zip *zip;
    uint64_t total = 0;
    size_t length = 1;
    from->position = 0;
    if (pi_zip_new(&options, &zip, &error) != 0)
        bench_fail("%s", error.message);
    while (length != 0) {
        if (pi_zip_read(zip, part, sizeof part, &length, &error) != 0)
            bench_fail("%s", error.message);
        total += length;
    }
    pi_zip_free(zip);
    return total;
}

/* `reach`: how many times as fast as minizip with two workers it has to be. */
static int compare(image *from, double reach) {
    enum { CONTESTANTS = 3 };
    static double samples[CONTESTANTS][ROUNDS], processor[CONTESTANTS][ROUNDS];
    uint64_t sizes[CONTESTANTS] = {0};
    char title[96];
    for (unsigned round = 0; round < ROUNDS; round++)
        for (uint32_t i = 0; i < CONTESTANTS; i++) {
            uint32_t turn = (i + round) % CONTESTANTS;
            double begin = bench_now(), processor_begin = bench_cpu_time();
            sizes[turn] = turn == 0 ? zip_by_minizip(from) : zip_by_ours(from, turn);
            samples[turn][round] = bench_now() - begin;
            processor[turn][round] = bench_cpu_time() - processor_begin;
        }
    bench_contestant contestants[] = {{.name = "minizip alone"},
                                      {.name = "ours, 1 worker"},
                                      {.name = "ours, 2 workers", .reach = 1 / reach}};
    snprintf(title, sizeof title, "A zip of %zu MiB of %s, level %d", from->length / MIB,
             from->name, LEVEL);
    int missed = bench_report(title, ROUNDS, contestants, CONTESTANTS,
                              (double *const[]){samples[0], samples[1], samples[2]});
    bench_contestant of_processor[] = {
        {.name = "minizip alone"}, {.name = "ours, 1 worker"}, {.name = "ours, 2 workers"}};
    bench_report("What it takes of the processors", ROUNDS, of_processor, CONTESTANTS,
                 (double *const[]){processor[0], processor[1], processor[2]});
    for (size_t i = 1; i < CONTESTANTS; i++)
        printf("  %s: %.2f times as fast as minizip, %.1f MiB/s\n", contestants[i].name,
               contestants[0].median / contestants[i].median,
               (double)from->length / MIB / contestants[i].median);
    double size_ratio = (double)sizes[2] / (double)sizes[0];
    printf("  size %.1f MiB, minizip's %.1f MiB: %.3fx (reach 1.05x%s)\n", (double)sizes[2] / MIB,
           (double)sizes[0] / MIB, size_ratio, size_ratio > 1.05 ? ": MISSED" : "");
    return missed + (size_ratio > 1.05);
}

int main(void) {
    image code = code_image();
    image memory = memory_image(&code);
    int missed = compare(&code, 1.6) + compare(&memory, 3.5);
    free(code.bytes);
    free(memory.bytes);
    return missed == 0 ? 0 : 1;
}
