/* SPDX-License-Identifier: MIT */
/* Which files of a runtime come with a dump, and which don't. */
#include "api/support_tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DAC "libmscordaccore.so"
#define DBI "libmscordbi.so"

static const char *const coreclr[] = {DOTNET "/libcoreclr.so"};

static void of_dotnet_dac_and_dbi_are_taken(void **state) {
    (void)state;
    skip_unless_root();
    make_dotnet();
    for (int how = 0; how <= AS_ROOT; how += AS_ROOT) {
        pid_t pid = start_mapping(coreclr, 1, how, NULL);
        const procinspect_zip_manifest *manifest = read_zip_of(pid, 0, 0);
        assert_int_equal(manifest->pid, pid);
        assert_int_equal(manifest->more_count, 0);
        assert_whole(manifest, DOTNET "/" DAC);
        assert_whole(manifest, DOTNET "/" DBI);
        const procinspect_zip_file *line = line_of(manifest, DAC);
        assert_string_equal(line->name, DAC);
        assert_string_equal(line->runtime, ".NET");
        assert_string_equal(line->module_path, support_path(coreclr[0]));
        assert_int_equal(line->flags, 0);
        assert_int_equal(line->build_id_length, 20);
        assert_int_equal(line->module_build_id_length, 20);
        assert_memory_not_equal(line->build_id, line->module_build_id, 20);
        end_mapping(pid);
    }
}

static void of_a_jvm_the_agent_is_taken(void **state) {
    (void)state;
    skip_unless_root();
    static const char *const jvm[] = {"jdk/lib/server/libjvm.so"};
    copy_library("libjvm.so", jvm[0]);
    copy_library("libsaproc.so", "jdk/lib/libsaproc.so");
    pid_t pid = start_mapping(jvm, 1, 0, NULL);
    assert_whole(read_zip_of(pid, 0, 0), "jdk/lib/libsaproc.so");
    end_mapping(pid);
}

/* As Debian has them: the library's is a link to the interpreter's. */
static void of_cpython_the_script_is_taken(void **state) {
    (void)state;
    skip_unless_root();
    static const char *const python[] = {"lib/x86/libpython3.11.so.1.0", "lib/x86/libother.so"};
    copy_library("libjvm.so", python[0]);
    copy_library("libsaproc.so", python[1]);
    write_file("bin/python3.11-gdb.py", "import gdb\n");
    assert_int_equal(
        symlink("../../bin/python3.11-gdb.py", support_path("lib/x86/libpython3.11.so.1.0-gdb.py")),
        0);
    pid_t pid = start_mapping(python, 2, 0, NULL);
    const procinspect_zip_manifest *manifest = read_zip_of(pid, 0, 0);
    assert_whole(manifest, "lib/x86/libpython3.11.so.1.0-gdb.py");
    assert_string_equal(line_of(manifest, "libpython3.11.so.1.0-gdb.py")->runtime, "CPython");
    assert_int_equal(count_lines(manifest), 1); /* that the other has none isn't worth a word */
    unlink(support_path("lib/x86/libpython3.11.so.1.0-gdb.py"));
    assert_missing(read_zip_of(pid, 0, 0), "libpython3.11.so.1.0-gdb.py",
                   PROCINSPECT_ZIP_FILE_ABSENT, "no such file");
    end_mapping(pid);
}

/* What an ordinary user can make for himself is never taken. */
static void what_the_user_owns_is_refused(void **state) {
    (void)state;
    make_dotnet();
    if (geteuid() == 0)
        assert_int_equal(chown(support_path(DOTNET), ORDINARY_USER, 0), 0);
    pid_t pid = start_mapping(coreclr, 1, 0, NULL);
    const procinspect_zip_manifest *manifest = read_zip_of(pid, PROCINSPECT_ZIP_FROM_TARGET, 0);
    assert_missing(manifest, DAC, PROCINSPECT_ZIP_FILE_REFUSED, "what a debugger runs ");
    assert_missing(manifest, DBI, PROCINSPECT_ZIP_FILE_REFUSED, "what a debugger runs ");
    assert_int_equal(count_lines(manifest), 2);
    end_mapping(pid);
}

/* What is done to the file, in its place; it is gone before. */
static void belongs_to_user(const char *path) {
    copy_library(DAC, DOTNET "/" DAC);
    assert_int_equal(chown(path, ORDINARY_USER, 0), 0);
}
static void written_by_all(const char *path) {
    copy_library(DAC, DOTNET "/" DAC);
    assert_int_equal(chmod(path, 0646), 0);
}
static void written_by_group(const char *path) {
    copy_library(DAC, DOTNET "/" DAC);
    assert_int_equal(chmod(path, 0664), 0);
}
static void link_of_user(const char *path) {
    copy_library(DAC, DOTNET "/real.so");
    assert_int_equal(symlink("real.so", path), 0);
    assert_int_equal(lchown(path, ORDINARY_USER, 0), 0);
}
static void link_to_secret(const char *path) {
    assert_int_equal(symlink("/etc/passwd", path), 0);
}
static void link_to_nothing(const char *path) {
    assert_int_equal(symlink("nothing", path), 0);
}
static void link_to_itself(const char *path) {
    assert_int_equal(symlink(DAC, path), 0);
}
static void link_through_writable(const char *path) {
    assert_int_equal(symlink("/tmp/" DAC, path), 0);
}
static void fifo(const char *path) {
    assert_int_equal(mkfifo(path, 0644), 0);
}
static void device(const char *path) {
    if (mknod(path, S_IFCHR | 0644, makedev(1, 5)) != 0) /* zero */
        fifo(path);
}
static void directory(const char *path) {
    assert_int_equal(mkdir(path, 0755), 0);
}
static void huge(const char *path) {
    copy_library(DAC, DOTNET "/" DAC);
    assert_int_equal(truncate(path, INT64_C(1) << 40), 0);
}
static void empty(const char *path) {
    (void)path;
    write_file(DOTNET "/" DAC, "");
}
static void text(const char *path) {
    (void)path;
    write_file(DOTNET "/" DAC, "#!/bin/sh\n");
}
static void another(const char *path) {
    (void)path;
    copy_library(DBI, DOTNET "/" DAC);
}
static void nothing(const char *path) {
    (void)path;
}

static void what_is_planted_is_refused(void **state) {
    (void)state;
    skip_unless_root();
    static const struct {
        void (*plant)(const char *path);
        uint32_t state;
        const char *reason;
    } cases[] = {
        {belongs_to_user, PROCINSPECT_ZIP_FILE_REFUSED, "belongs to user 65534"},
        {written_by_all, PROCINSPECT_ZIP_FILE_REFUSED, DAC " can be written by others than root"},
        {written_by_group, PROCINSPECT_ZIP_FILE_REFUSED, DAC " can be written by others than root"},
        {link_of_user, PROCINSPECT_ZIP_FILE_REFUSED, DAC " belongs to user 65534"},
        {link_to_secret, PROCINSPECT_ZIP_FILE_REFUSED, "no ELF object"},
        {link_to_nothing, PROCINSPECT_ZIP_FILE_ABSENT, "no such file"},
        {link_to_itself, PROCINSPECT_ZIP_FILE_REFUSED, "too many links"},
        {link_through_writable, PROCINSPECT_ZIP_FILE_REFUSED, "/tmp can be written by others"},
        {fifo, PROCINSPECT_ZIP_FILE_REFUSED, "no regular file"},
        {device, PROCINSPECT_ZIP_FILE_REFUSED, "no regular file"},
        {directory, PROCINSPECT_ZIP_FILE_REFUSED, "no regular file"},
        {huge, PROCINSPECT_ZIP_FILE_REFUSED, "1099511627776 bytes"},
        {empty, PROCINSPECT_ZIP_FILE_REFUSED, "empty"},
        {text, PROCINSPECT_ZIP_FILE_REFUSED, "no ELF object"},
        {another, PROCINSPECT_ZIP_FILE_REFUSED, "SONAME"},
        {nothing, PROCINSPECT_ZIP_FILE_ABSENT, "no such file"},
    };
    make_dotnet();
    pid_t pid = start_mapping(coreclr, 1, 0, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        remove(support_path(DOTNET "/" DAC));
        cases[i].plant(support_path(DOTNET "/" DAC));
        const procinspect_zip_manifest *manifest = read_zip_of(pid, 0, 0);
        assert_missing(manifest, DAC, cases[i].state, cases[i].reason);
        assert_whole(manifest, DOTNET "/" DBI);
    }
    end_mapping(pid);
}

static void a_directory_that_others_can_write_is_refused(void **state) {
    (void)state;
    skip_unless_root();
    static const char *const directories[] = {DOTNET, "dotnet/shared", "."};
    make_dotnet();
    pid_t pid = start_mapping(coreclr, 1, 0, NULL);
    for (size_t i = 0; i < 3; i++) {
        const char *path = support_path(directories[i]);
        assert_int_equal(chmod(path, 01777), 0); /* sticky is no better */
        assert_missing(read_zip_of(pid, 0, 0), DAC, PROCINSPECT_ZIP_FILE_REFUSED,
                       "can be written by others");
        assert_int_equal(chmod(path, 0755), 0);
        assert_int_equal(chown(path, ORDINARY_USER, 0), 0);
        assert_missing(read_zip_of(pid, 0, 0), DBI, PROCINSPECT_ZIP_FILE_REFUSED,
                       "belongs to user 65534");
        assert_int_equal(chown(path, 0, 0), 0);
    }
    end_mapping(pid);
}

static void what_stands_beside_another_build_is_refused(void **state) {
    (void)state;
    skip_unless_root();
    make_dotnet();
    pid_t pid = start_mapping(coreclr, 1, 0, NULL);
    unlink(support_path(coreclr[0]));
    assert_missing(read_zip_of(pid, 0, 0), DAC, PROCINSPECT_ZIP_FILE_REFUSED,
                   "libcoreclr.so isn't there");
    copy_library("libjvm.so", coreclr[0]);
    assert_missing(read_zip_of(pid, 0, 0), DAC, PROCINSPECT_ZIP_FILE_REFUSED, "another build");
    write_file(coreclr[0], "no ELF");
    assert_missing(read_zip_of(pid, 0, 0), DAC, PROCINSPECT_ZIP_FILE_REFUSED,
                   "no longer the module");
    copy_library("libcoreclr.so", coreclr[0]); /* the same build again: that is as good */
    assert_whole(read_zip_of(pid, 0, 0), DOTNET "/" DAC);
    end_mapping(pid);
}

static void none_is_looked_for_when_not_wanted(void **state) {
    (void)state;
    make_dotnet();
    pid_t pid = start_mapping(coreclr, 1, 0, NULL);
    assert_int_equal(read_zip_of(pid, PROCINSPECT_ZIP_NO_SUPPORT_FILES, 0)->count, 1);
    end_mapping(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_dotnet_dac_and_dbi_are_taken, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(of_a_jvm_the_agent_is_taken, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(of_cpython_the_script_is_taken, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(what_the_user_owns_is_refused, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(what_is_planted_is_refused, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(a_directory_that_others_can_write_is_refused, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(what_stands_beside_another_build_is_refused, support_setup,
                                        support_teardown),
        cmocka_unit_test_setup_teardown(none_is_looked_for_when_not_wanted, support_setup,
                                        support_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
