/* Dumps as other programs read them: a strict checker, and LLDB beside the live process. */
#include "system/dump_file.h"
#include "system/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_well_formed(pid_t pid, size_t thread_count) {
    assert_well_formed_as(pid, thread_count, PROCINSPECT_DUMP_TYPE_NORMAL);
}

static void dump_target(const target *t) {
    make_dump(t, PROCINSPECT_DUMP_TYPE_NORMAL, PROCINSPECT_DUMP_WAY_AUTO);
}

static void check_target(const char *const *argv, size_t thread_count) {
    target t = target_start(argv);
    dump_target(&t);
    assert_well_formed(t.pid, thread_count);
    assert_same_in_lldb(t.pid, thread_count, "");
    assert_int_equal(target_end(&t, 5000), 0);
}

#define THREADS TESTS_BUILD_DIR "/targets/threads"

static void test_1_thread(void **state) {
    (void)state;
    check_target((const char *const[]){THREADS, "0", NULL}, 1);
}

static void test_64_threads(void **state) {
    (void)state;
    check_target((const char *const[]){THREADS, "63", NULL}, 64);
}

static void test_1000_threads(void **state) {
    (void)state;
    check_target((const char *const[]){THREADS, "999", NULL}, 1000);
}

static void test_deep_stack(void **state) {
    (void)state;
    check_target((const char *const[]){THREADS, "2", "deep", NULL}, 4);
}

static void test_signal_frame_on_alternate_stack(void **state) {
    (void)state;
    check_target((const char *const[]){THREADS, "2", "signal", NULL}, 4);
}

static void test_libraries_loaded_twice(void **state) {
    (void)state;
    check_target((const char *const[]){THREADS, "3", "copies", NULL}, 4);
}

static void test_host_itself(void **state) {
    char options[64];
    (void)state;
    target t = target_start(
        (const char *const[]){TESTS_BUILD_DIR "/system/self_dump", dump_path, "7", NULL});
    assert_well_formed(t.pid, 8);
    snprintf(options, sizeof options, "--own-thread %d", (int)t.pid);
    assert_same_in_lldb(t.pid, 8, options);
    assert_int_equal(target_end(&t, 5000), 0);
}

static void assert_regions_in_lldb(void) {
    char command[512];
    snprintf(command, sizeof command, "/usr/bin/python3 " READERS "lldb_regions.py %s 2>&1",
             dump_path);
    run(command);
    print_message("%s", last_output.text);
    assert_int_equal(last_output.status, 0);
}

static void check_type(const target *t, size_t thread_count, uint32_t type) {
    make_dump(t, type, PROCINSPECT_DUMP_WAY_AUTO);
    assert_well_formed_as(t->pid, thread_count, type);
    assert_same_in_lldb(t->pid, thread_count, "");
    if ((type & PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO) != 0) {
        assert_regions_in_lldb();
    }
}

/* Each stream that a bit adds is there with it and not without, which is one of the rules. */
static void test_types_that_add_streams(void **state) {
    enum { THREAD_COUNT = 4 };
    static const uint32_t bits[] = {
        PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA,
        PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO,
        PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO,
        PROCINSPECT_DUMP_TYPE_IGNORE_INACCESSIBLE_MEMORY,
    };
    (void)state;
    target t = target_start((const char *const[]){THREADS, "3", NULL});
    for (unsigned set = 1; set < 16; set++) {
        uint32_t type = 0;
        for (unsigned i = 0; i < 4; i++) {
            type |= (set >> i & 1) != 0 ? bits[i] : 0;
        }
        check_type(&t, THREAD_COUNT, type);
    }
    const uint32_t lists = bits[0] | bits[1] | bits[2];
    const uint32_t parts =
        PROCINSPECT_DUMP_TYPE_WITH_DATA_SEGS | PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY;
    check_type(&t, THREAD_COUNT, lists | parts);
    check_type(&t, THREAD_COUNT, lists | parts | PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY);
    assert_int_equal(target_end(&t, 5000), 0);
}

static void test_types_that_add_memory(void **state) {
    static const uint32_t types[] = {
        PROCINSPECT_DUMP_TYPE_WITH_DATA_SEGS,
        PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY,
        PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY,
    };
    (void)state;
    target t = target_start((const char *const[]){THREADS, "3", NULL});
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        check_type(&t, 4, types[i]);
    assert_int_equal(target_end(&t, 5000), 0);
}

/* Every way to read a dump gives the same bytes. */
static void test_file_is_what_read_at_gives(void **state) {
    struct stat status;
    size_t length = 0;
    (void)state;
    target t = target_start((const char *const[]){THREADS, "2", NULL});
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, t.pid);
    procinspect_dump *dump = capture(process);
    save_dump(dump, dump_path);
    assert_int_equal(stat(dump_path, &status), 0);
    assert_int_equal(status.st_size, procinspect_dump_size_bytes(dump));

    const size_t size = (size_t)status.st_size;
    unsigned char *file = malloc(size);
    unsigned char *read_at = malloc(size);
    assert_true(file != NULL && read_at != NULL);
    const int fd = open(dump_path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, file, size), (ssize_t)size);
    close(fd);
    for (size_t offset = 0; offset < size; offset += length) {
        assert_int_equal(
            procinspect_dump_read_at(dump, offset, read_at + offset, 1000, &length, NULL), 0);
        assert_int_equal(length, size - offset < 1000 ? size - offset : 1000);
    }
    assert_memory_equal(file, read_at, size);
    free(file);
    free(read_at);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
    assert_int_equal(target_end(&t, 5000), 0);
}

/* The comparison is worth nothing if it matches whatever it is given. */
static void spoil_with(const char *python) {
    char command[1024];
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c \"\nimport struct, sys\nsys.path.insert(0, '" READERS "')\n"
             "import minidump_file as md\n"
             "data = bytearray(open('%s', 'rb').read())\ndump = md.Minidump(bytes(data))\n%s\n"
             "open('%s', 'wb').write(data)\"",
             dump_path, python, dump_path);
    run(command);
    assert_int_equal(last_output.status, 0);
}

static void test_comparison_notices(void **state) {
    static const struct {
        const char *python;
        const char *difference;
    } cases[] = {
        {"data[dump.modules[0].codeview_rva + 6] ^= 1", "build id"},
        {"struct.pack_into('<Q', data, dump.threads[2].context_rva + 248, dump.modules[0].base)",
         " frame 0: "},
        {"struct.pack_into('<I', data, dump.entry(3).rva + 4 + 48, 99)",
         "thread 99: only in the dump"},
        {"r = dump.memory[-1]\nfor t in dump.threads[1:]:\n"
         "  data[t.stack_rva:t.stack_rva + t.stack_bytes] = bytes(t.stack_bytes)",
         " frame"},
    };
    char values_path[] = "/tmp/procinspect-values-XXXXXX";
    char options[64];
    (void)state;
    const int fd = mkostemp(values_path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "expression\t2 * 2\t4\nexpression\t2 * 2\t5\n") > 0);
    close(fd);
    snprintf(options, sizeof options, "--values %s", values_path);
    target t = target_start((const char *const[]){THREADS, "3", NULL});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dump_target(&t);
        spoil_with(cases[i].python);
        compare_with_lldb(t.pid, options);
        assert_int_not_equal(last_output.status, 0);
        assert_non_null(strstr(last_output.text, cases[i].difference));
        assert_non_null(strstr(last_output.text, "2 * 2: 4, the process has 5"));
        assert_null(strstr(last_output.text, "the process has 4"));
    }
    unlink(values_path);
    assert_int_equal(target_end(&t, 5000), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_thread),
        cmocka_unit_test(test_64_threads),
        cmocka_unit_test(test_1000_threads),
        cmocka_unit_test(test_deep_stack),
        cmocka_unit_test(test_signal_frame_on_alternate_stack),
        cmocka_unit_test(test_libraries_loaded_twice),
        cmocka_unit_test(test_host_itself),
        cmocka_unit_test(test_types_that_add_streams),
        cmocka_unit_test(test_types_that_add_memory),
        cmocka_unit_test(test_file_is_what_read_at_gives),
        cmocka_unit_test(test_comparison_notices),
    };
    return cmocka_run_group_tests_name("dump_readers", tests, make_dump_file, remove_dump_file);
}
