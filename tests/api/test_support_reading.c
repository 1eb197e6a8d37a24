/* SPDX-License-Identifier: MIT */
/* Support files that change while they are read, are too many or too large, or come of modules with
 * hostile names. */
#include "api/support_tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zip/own_tasks.h"

#define DAC "libmscordaccore.so"
#define DBI "libmscordbi.so"

static const char *const coreclr[] = {DOTNET "/libcoreclr.so"};

static void cut(const char *path) {
    assert_int_equal(truncate(path, 1000), 0);
}
static void cut_to_nothing(const char *path) {
    assert_int_equal(truncate(path, 0), 0);
}
static void grow(const char *path) {
    assert_int_equal(truncate(path, INT64_C(1) << 40), 0);
}
static void write_over(const char *path) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(file, "x", 1, 4000), 1);
    close(file);
}

static void what_changes_meanwhile_is_marked(void **state) {
    (void)state;
    skip_unless_root();
    static const struct {
        void (*change)(const char *path);
        const char *reason;
        int64_t size_bytes; /* -1: as before */
    } cases[] = {{cut, "became shorter", 1000},
                 {cut_to_nothing, "became shorter", 0},
                 {grow, "was changed", -1},
                 {write_over, "was changed", -1}};
    make_dotnet();
    pid_t pid = start_mapping(coreclr, 1, 0, NULL);
    open_zip_of(pid, PROCINSPECT_ZIP_NO_SUPPORT_FILES, 0);
    size_t descriptors = own_descriptor_count();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stat status;
        copy_library(DAC, DOTNET "/" DAC);
        assert_int_equal(stat(support_path(DOTNET "/" DAC), &status), 0);
        procinspect_stream *stream = open_zip_of(pid, 0, 0);
        cases[i].change(support_path(DOTNET "/" DAC));
        const procinspect_zip_manifest *manifest = read_to_end(stream);
        const procinspect_zip_file *line = line_of(manifest, DAC);
        assert_int_equal(line->state, PROCINSPECT_ZIP_FILE_CHANGED);
        assert_non_null(strstr(line->reason, cases[i].reason));
        assert_int_equal(line->size_bytes,
                         cases[i].size_bytes < 0 ? status.st_size : cases[i].size_bytes);
        assert_string_equal(line->name, DAC);
        assert_whole(manifest, DOTNET "/" DBI);
        assert_int_equal(own_descriptor_count(), descriptors); /* each is closed where it ends */
    }
    end_mapping(pid);
}

/* Opened, but never read to them. */
static void a_stream_that_is_left_closes_them(void **state) {
    (void)state;
    skip_unless_root();
    procinspect_stream *stream;
    unsigned char byte;
    size_t length;
    uint64_t bytes;
    size_t others = count_others(&bytes);
    make_dotnet();
    pid_t pid = start_mapping(coreclr, 1, 0, NULL);
    open_zip_of(pid, PROCINSPECT_ZIP_NO_SUPPORT_FILES, 0);
    size_t descriptors = own_descriptor_count(), tasks = own_task_count();
    for (int reads = 0; reads < 1000; reads += 500) {
        stream = open_zip_of(pid, 0, 0);
        assert_int_equal(own_descriptor_count(), descriptors + 2 + others);
        for (int i = 0; i < reads; i++)
            assert_int_equal(procinspect_stream_read(stream, &byte, 1, &length, NULL), 0);
        open_zip_of(pid, PROCINSPECT_ZIP_NO_SUPPORT_FILES, 0); /* frees it */
        assert_int_equal(own_descriptor_count(), descriptors);
        assert_own_tasks(tasks);
    }
    end_mapping(pid);
}

static void more_than_is_allowed_is_left_out(void **state) {
    (void)state;
    skip_unless_root();
    struct stat status;
    uint64_t others_bytes;
    count_others(&others_bytes);
    make_dotnet();
    assert_int_equal(stat(support_path(DOTNET "/" DAC), &status), 0);
    pid_t pid = start_mapping(coreclr, 1, 0, NULL);
    const procinspect_zip_manifest *manifest =
        read_zip_of(pid, 0, others_bytes + (uint64_t)status.st_size);
    assert_whole(manifest, DOTNET "/" DAC);
    assert_missing(manifest, DBI, PROCINSPECT_ZIP_FILE_REFUSED, "raise max_support_bytes");
    manifest = read_zip_of(pid, 0, 1);
    assert_missing(manifest, DAC, PROCINSPECT_ZIP_FILE_REFUSED, "raise max_support_bytes");
    assert_int_equal(count_lines(manifest), 2);
    end_mapping(pid);
}

enum { MANY = 50, FILES = 16, ITEMS = 32 };

static void more_than_a_zip_takes_are_counted(void **state) {
    (void)state;
    skip_unless_root();
    static char names[MANY][32], scripts[MANY][40];
    const char *modules[MANY];
    size_t whole = 0, refused = 0;
    uint64_t bytes;
    size_t others = count_others(&bytes);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "many/%zu.so", i);
        snprintf(scripts[i], sizeof scripts[i], "many/%zu.so-gdb.py", i);
        copy_library("libjvm.so", names[i]);
        write_file(scripts[i], "pass\n");
        modules[i] = names[i];
    }
    pid_t pid = start_mapping(modules, MANY, 0, NULL);
    const procinspect_zip_manifest *manifest = read_zip_of(pid, 0, 0);
    assert_int_equal(manifest->count, 1 + ITEMS);
    assert_int_equal(manifest->more_count, MANY + others - ITEMS);
    for (size_t i = 1; i < manifest->count; i++) {
        const procinspect_zip_file *line = manifest->items[i];
        whole += line->state == PROCINSPECT_ZIP_FILE_WHOLE;
        refused += line->state == PROCINSPECT_ZIP_FILE_REFUSED &&
                   strstr(line->reason, "at most 16") != NULL;
    }
    assert_int_equal(whole, FILES);
    assert_int_equal(refused, ITEMS - FILES);
    end_mapping(pid);
}

/* Whoever unpacks it gets files of different names in one folder. */
static void hostile_names_are_made_safe(void **state) {
    (void)state;
    skip_unless_root();
    static const char *const modules[] = {
        "a/x\\y.so", "a/..\xff", "a/a\nb", "a/same.so",    "b/same.so",
        "a/nul.x",   "a/\u202e", "a/%p",   "a/ (deleted)",
    };
    enum { COUNT = sizeof modules / sizeof modules[0] };
    for (size_t i = 0; i < COUNT; i++) {
        char script[64];
        copy_library("libjvm.so", modules[i]);
        snprintf(script, sizeof script, "%s-gdb.py", modules[i]);
        write_file(script, "pass\n");
    }
    pid_t pid = start_mapping(modules, COUNT, 0, NULL);
    const procinspect_zip_manifest *manifest = read_zip_of(pid, 0, 0);
    assert_int_equal(count_lines(manifest), COUNT);
    for (size_t i = 1; i < manifest->count; i++) {
        const procinspect_zip_file *line = manifest->items[i];
        assert_string_equal(line->reason != NULL ? line->reason : "", "");
        assert_int_equal(line->state, PROCINSPECT_ZIP_FILE_WHOLE);
        assert_int_equal(strcspn(line->name, "/\\\n"), strlen(line->name));
        assert_true(line->name[0] != '.');
        assert_null(strstr(line->name, "\u202e"));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(line->name, manifest->items[j]->name);
    }
    end_mapping(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_changes_meanwhile_is_marked, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(a_stream_that_is_left_closes_them, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(more_than_is_allowed_is_left_out, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(more_than_a_zip_takes_are_counted, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(hostile_names_are_made_safe, support_setup,
                                        support_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
