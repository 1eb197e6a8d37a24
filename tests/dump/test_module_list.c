/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static laid_out with_modules(procinspect_module_info *infos, size_t count) {
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    const procinspect_module_info **items = calloc(count + 1, sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = &infos[i];
    procinspect_module_list list = {items, count, 4711};
    snapshot.modules = &list;
    laid_out file = lay_out(&snapshot);
    free(items);
    return file;
}

static procinspect_module_info module(uint64_t base, uint64_t size, const char *path) {
    return (procinspect_module_info){.base_address = base,
                                     .size_bytes = size,
                                     .path = path,
                                     .path_bytes = path,
                                     .path_bytes_length = strlen(path)};
}

static uint32_t entry_at(const laid_out *file, uint32_t index, uint32_t *count) {
    uint32_t size, at = stream_at(file, PI_STREAM_MODULE_LIST, &size);
    *count = u32_at(file, at);
    assert_int_equal(size, 4 + 108 * *count);
    return at + 4 + 108 * index;
}

static void every_member_at_its_place(void **state) {
    (void)state;
    static const unsigned char build_id[20] = "\x93\xac\x61\xec\x5a\x8e\xb1\x39\x6f\x9f"
                                              "\xbd\x35\x0e\x31\x69\xa5\x58\x52\x8a\x40";
    procinspect_module_info info = module(0x7f0000400000, 0x1e2000, "/lib/libz.so.1.2.13");
    info.soname = "libz.so.1";
    info.build_id = build_id;
    info.build_id_length = sizeof build_id;
    info.file_version = "1.2.13";
    info.file_version_parts[0] = 1;
    info.file_version_parts[1] = 2;
    info.file_version_parts[2] = 13;
    laid_out file = with_modules(&info, 1);
    uint32_t count, entry = entry_at(&file, 0, &count);
    assert_int_equal(count, 1);
    assert_int_equal(u64_at(&file, entry), 0x7f0000400000);
    assert_int_equal(u32_at(&file, entry + 8), 0x1e2000);
    assert_int_equal(u32_at(&file, entry + 12), 0);
    assert_int_equal(u32_at(&file, entry + 16), 0);
    assert_string(&file, u32_at(&file, entry + 20), "/lib/libz.so.1");
    assert_int_equal(u32_at(&file, entry + 24), 0xfeef04bd);
    assert_int_equal(u32_at(&file, entry + 28), 0x00010000);
    assert_int_equal(u32_at(&file, entry + 32), 0x00010002);
    assert_int_equal(u32_at(&file, entry + 36), 0x000d0000);
    assert_int_equal(u32_at(&file, entry + 40), 0x00010002);
    assert_int_equal(u32_at(&file, entry + 44), 0x000d0000);
    for (unsigned i = 48; i < 76; i += 4)
        assert_int_equal(u32_at(&file, entry + i), 0);
    assert_int_equal(u32_at(&file, entry + 76), 24);
    uint32_t record = u32_at(&file, entry + 80);
    assert_int_equal(record % 4, 0);
    assert_int_equal(u32_at(&file, record), 0x4270454c);
    assert_memory_equal(file.bytes + record + 4, build_id, 20);
    for (unsigned i = 84; i < 108; i += 4)
        assert_int_equal(u32_at(&file, entry + i), 0);
    laid_out_free(&file);
}

static void the_hash_of_the_text_where_there_is_no_build_id(void **state) {
    (void)state;
    static const unsigned char hash[16] = "0123456789abcde";
    procinspect_module_info info = module(0x1000, 0x1000, "/opt/old");
    info.text_hash = hash;
    laid_out file = with_modules(&info, 1);
    uint32_t count, entry = entry_at(&file, 0, &count);
    assert_int_equal(u32_at(&file, entry + 76), 20);
    uint32_t record = u32_at(&file, entry + 80);
    assert_int_equal(u32_at(&file, record), 0x4270454c);
    assert_memory_equal(file.bytes + record + 4, hash, sizeof hash);
    laid_out_free(&file);
}

static void nothing_known_but_the_range(void **state) {
    (void)state;
    procinspect_module_info info = {.base_address = 0x1000, .size_bytes = 0x1000};
    laid_out file = with_modules(&info, 1);
    uint32_t count, entry = entry_at(&file, 0, &count);
    assert_string(&file, u32_at(&file, entry + 20), "");
    for (unsigned i = 24; i < 108; i += 4)
        assert_int_equal(u32_at(&file, entry + i), 0);
    laid_out_free(&file);
}

static void the_program_first_and_the_rest_by_base(void **state) {
    (void)state;
    procinspect_module_info infos[] = {module(0x1000, 0x1000, "/a"), module(0x2000, 0x1000, "/b"),
                                       module(0x3000, 0x1000, "/me"), module(0x4000, 0x1000, "/d")};
    infos[2].flags = PROCINSPECT_MODULE_FLAG_EXECUTABLE;
    laid_out file = with_modules(infos, 4);
    static const char *const names[] = {"/me", "/a", "/b", "/d"};
    static const uint64_t bases[] = {0x3000, 0x1000, 0x2000, 0x4000};
    uint32_t count;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t entry = entry_at(&file, i, &count);
        assert_int_equal(u64_at(&file, entry), bases[i]);
        assert_string(&file, u32_at(&file, entry + 20), names[i]);
    }
    laid_out_free(&file);
}

static void none_overlaps_none_is_empty_none_is_there_twice(void **state) {
    (void)state;
    procinspect_module_info infos[] = {
        module(0x1000, 0x9000, "/around"),       module(0x3000, 0x1000, "/inside"),
        module(0x3000, 0x2000, "/same"),         module(0x5000, 0, "/empty"),
        module(0x2000, 0x1000, "/late"),         module(0x20000, 0x200000000, "/huge"),
        module(UINT64_MAX - 4095, 8192, "/end"),
    };
    laid_out file = with_modules(infos, 7);
    static const struct {
        uint64_t base;
        uint32_t size;
    } expected[] = {
        {0x1000, 0x2000}, {0x3000, 0x1000}, {0x20000, UINT32_MAX}, {UINT64_MAX - 4095, 4095}};
    uint32_t count;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t entry = entry_at(&file, i, &count);
        assert_int_equal(u64_at(&file, entry), expected[i].base);
        assert_int_equal(u32_at(&file, entry + 8), expected[i].size);
    }
    assert_int_equal(count, 4);
    laid_out_free(&file);
}

/* The name that readers see of a module with this path, SONAME and flags. */
static void assert_name(const char *path, const char *soname, uint32_t flags, const char *name) {
    procinspect_module_info info = module(0x1000, 0x1000, path);
    info.soname = soname;
    info.flags = flags;
    laid_out file = with_modules(&info, 1);
    uint32_t count, entry = entry_at(&file, 0, &count);
    assert_string(&file, u32_at(&file, entry + 20), name);
    laid_out_free(&file);
}

static void names(void **state) {
    (void)state;
    assert_name("/lib/libc.so.6", "libc.so.6", 0, "/lib/libc.so.6");
    assert_name("/opt/libfoo-2.so", "libfoo.so.2", 0, "/opt/libfoo.so.2");
    assert_name("/opt/libfoo-2.so", NULL, 0, "/opt/libfoo-2.so");
    assert_name("/opt/libfoo-2.so", "", 0, "/opt/libfoo-2.so");
    assert_name("/opt/libfoo.so", "../../etc/passwd", 0, "/opt/libfoo.so");
    assert_name("libfoo.so", "bar", 0, "bar");
    assert_name("", "bar", 0, "bar");
    assert_name("linux-gate.so", "linux-vdso.so.1", PROCINSPECT_MODULE_FLAG_VDSO, "linux-gate.so");
    assert_name("/tmp/a b\nc (deleted)", NULL, 0, "/tmp/a b\nc (deleted)");
}

/* A stack that is full of one address. */
typedef struct full_stack {
    pi_memory_source source;
    uint64_t word;
} full_stack;

static int32_t read_full_stack(const pi_memory_source *source, uint64_t address, void *buffer,
                               size_t length, procinspect_error *error) {
    const full_stack *stack = (const full_stack *)(const void *)source;
    (void)error;
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)buffer)[i] =
            (unsigned char)(stack->word >> (8 * ((address + i) % sizeof stack->word)));
    return 0;
}

enum { COPIES = 4 };

/* Two libraries that are there twice, and a thread in `instruction_pointer` whose stack is full of
 * `word`: these are their names. */
static void assert_copies(uint64_t instruction_pointer, uint64_t word,
                          const char *const names[COPIES]) {
    procinspect_module_info infos[COPIES] = {
        module(0x10000, 0x1000, "/lib/a.so"), module(0x20000, 0x1000, "/lib/b.so"),
        module(0x30000, 0x1000, "/lib/a.so"), module(0x40000, 0x1000, "/lib/x")};
    infos[3].soname = "b.so";
    const procinspect_module_info *items[COPIES];
    for (size_t i = 0; i < COPIES; i++)
        items[i] = &infos[i];
    procinspect_module_list list = {items, COPIES, 4711};
    pi_thread_snapshot thread = {.tid = 4711,
                                 .has_registers = 1,
                                 .registers.amd64.rip = instruction_pointer,
                                 .stack = {0x7ffd0000004, 4096}};
    pi_memory_range memory_range = {0x7ffd0000004, 4096};
    full_stack stack = {{.read = read_full_stack}, word};
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    snapshot.modules = &list;
    snapshot.threads = &thread;
    snapshot.thread_count = 1;
    snapshot.memory = &memory_range;
    snapshot.memory_count = 1;
    snapshot.source = &stack.source;
    laid_out file = lay_out(&snapshot);
    uint32_t count;
    for (uint32_t i = 0; i < COPIES; i++)
        assert_string(&file, u32_at(&file, entry_at(&file, i, &count) + 20), names[i]);
    assert_int_equal(count, COPIES);
    laid_out_free(&file);
}

static void of_copies_the_one_in_use_keeps_the_name(void **state) {
    (void)state;
    /* Where nothing tells, the first, as LLDB does. */
    assert_copies(0, 0,
                  (const char *const[]){"/lib/a.so", "/lib/b.so", "/lib/a.so (copy 2)",
                                        "/lib/b.so (copy 2)"});
    assert_copies(0x30fff, 0,
                  (const char *const[]){"/lib/a.so (copy 2)", "/lib/b.so", "/lib/a.so",
                                        "/lib/b.so (copy 2)"});
    assert_copies(0x10000, 0x30010,
                  (const char *const[]){"/lib/a.so (copy 2)", "/lib/b.so", "/lib/a.so",
                                        "/lib/b.so (copy 2)"});
    assert_copies(0x31000, 0x40fff,
                  (const char *const[]){"/lib/a.so", "/lib/b.so (copy 2)", "/lib/a.so (copy 2)",
                                        "/lib/b.so"});
}

static void a_name_that_is_no_text_is_repaired(void **state) {
    (void)state;
    procinspect_module_info info = module(0x1000, 0x1000, "/\xff/x");
    laid_out file = with_modules(&info, 1);
    uint32_t count, name = u32_at(&file, entry_at(&file, 0, &count) + 20);
    assert_int_equal(u32_at(&file, name), 8);
    assert_int_equal(u16_at(&file, name + 6), 0xfffd);
    laid_out_free(&file);
}

static void version_numbers_saturate(void **state) {
    (void)state;
    procinspect_module_info info = module(0x1000, 0x1000, "/libx.so.65535.65536.4294967295.7");
    info.file_version = "65535.65536.4294967295.7";
    info.file_version_parts[0] = 65535;
    info.file_version_parts[1] = 65536;
    info.file_version_parts[2] = 4294967295;
    info.file_version_parts[3] = 7;
    laid_out file = with_modules(&info, 1);
    uint32_t count, entry = entry_at(&file, 0, &count);
    assert_int_equal(u32_at(&file, entry + 32), 0xffffffff);
    assert_int_equal(u32_at(&file, entry + 36), 0xffff0007);
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_at_its_place),
        cmocka_unit_test(the_hash_of_the_text_where_there_is_no_build_id),
        cmocka_unit_test(nothing_known_but_the_range),
        cmocka_unit_test(the_program_first_and_the_rest_by_base),
        cmocka_unit_test(none_overlaps_none_is_empty_none_is_there_twice),
        cmocka_unit_test(names),
        cmocka_unit_test(of_copies_the_one_in_use_keeps_the_name),
        cmocka_unit_test(a_name_that_is_no_text_is_repaired),
        cmocka_unit_test(version_numbers_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
