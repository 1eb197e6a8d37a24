/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/module_process.h"

/* What became of the files behind the modules: their names, their deletion and replacement, other
 * mount namespaces, and recorded trees. */

enum { PATH_SIZE = 512 };

static const char *const no_arguments[4] = {NULL};

/* Names that maps writes in ways which can be taken for something else. */
static const char *const hostile_names[] = {
    "with space",     " ",
    "new\nline",      "\n",
    "a (deleted)",    "a (deleted) (deleted)",
    " (deleted)",     "not\\012escaped",
    "both\\012and\n", "\xff\xfe invalid \xc3",
    "[vdso]",         "1-2 r-xp 00000000 00:00 0 [stack]",
    "linux-gate.so",
};

static void check_name(const char *folder, const char *name, const char *build_id) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    copy_file(TARGET("pie"), path);
    pid_t pid = target_start(path, no_arguments);

    module_answer read = modules_read(pid);
    const procinspect_module_info *module = module_find(&read, path);
    assert_build_id(module, build_id);
    assert_int_equal(module->flags, PROCINSPECT_MODULE_FLAG_EXECUTABLE);
    assert_int_equal(module->known, PROCINSPECT_MODULE_EVERYTHING);
    if (strchr(name, '\xff') != NULL)
        assert_string_equal(module->file_name, "\xef\xbf\xbd\xef\xbf\xbd invalid \xef\xbf\xbd");
    else
        assert_string_equal(module->file_name, name);
    modules_free(&read);

    /* The same without its file. */
    assert_int_equal(unlink(path), 0);
    read = modules_read(pid);
    module = module_find(&read, path);
    assert_build_id(module, build_id);
    assert_int_equal(module->flags,
                     PROCINSPECT_MODULE_FLAG_EXECUTABLE | PROCINSPECT_MODULE_FLAG_DELETED);
    modules_free(&read);
    target_end(pid);
}

static void names_of_every_kind(void **state) {
    (void)state;
    char folder[FOLDER_SIZE], build_id[129];
    folder_make(folder);
    read_build_id(TARGET("pie"), build_id);
    for (size_t i = 0; i < sizeof hostile_names / sizeof hostile_names[0]; i++)
        check_name(folder, hostile_names[i], build_id);
    folder_remove(folder);
}

/* A target that has loaded PATH, the sample library. */
static pid_t start_with_library(const char *path) {
    copy_file(SAMPLE, path);
    const char *arguments[4] = {"load", path};
    return target_start(TARGET("pie"), arguments);
}

/* All that memory holds of the sample is there; what only the file holds is there or explained. */
static void assert_sample(const procinspect_module_info *module, uint32_t flags) {
    uint64_t known = PROCINSPECT_MODULE_EVERYTHING & ~PROCINSPECT_MODULE_IS_DEBUG;
    assert_build_id(module, SAMPLE_BUILD_ID);
    assert_string_equal(module->soname, "libmodule_sample.so.3");
    assert_string_equal(module->file_version, "3");
    assert_string_equal(module->package_name, "sample");
    assert_int_equal(module->flags, flags);
    assert_int_equal(module->known & known, known);
    if ((module->known & PROCINSPECT_MODULE_IS_DEBUG) != 0) {
        assert_int_equal(module->is_debug, 1);
        return;
    }
    assert_int_equal(module->unavailable_count, 1);
    assert_int_equal(module->unavailable[0]->members, PROCINSPECT_MODULE_IS_DEBUG);
    assert_int_equal(module->unavailable[0]->code, PROCINSPECT_ERROR_NOT_FOUND);
}

static void a_deleted_library(void **state) {
    (void)state;
    char folder[FOLDER_SIZE], path[PATH_SIZE];
    folder_make(folder);
    snprintf(path, sizeof path, "%s/deleted library", folder);
    pid_t pid = start_with_library(path);
    assert_int_equal(unlink(path), 0);
    module_answer read = modules_read(pid);
    assert_sample(module_find(&read, path), PROCINSPECT_MODULE_FLAG_DELETED);
    modules_free(&read);
    target_end(pid);
    folder_remove(folder);
}

static void a_replaced_library(void **state) {
    (void)state;
    char folder[FOLDER_SIZE], path[PATH_SIZE], other[PATH_SIZE];
    folder_make(folder);
    snprintf(path, sizeof path, "%s/replaced", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    pid_t pid = start_with_library(path);
    copy_file(TARGET("pie"), other);
    assert_int_equal(rename(other, path), 0);
    module_answer read = modules_read(pid);
    assert_sample(module_find(&read, path), PROCINSPECT_MODULE_FLAG_DELETED);
    modules_free(&read);

    /* By things that must not be opened or followed: a pipe nobody writes to, a link, a folder. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    read = modules_read(pid);
    assert_sample(module_find(&read, path), PROCINSPECT_MODULE_FLAG_DELETED);
    modules_free(&read);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(TARGET("pie"), path), 0);
    read = modules_read(pid);
    assert_sample(module_find(&read, path), PROCINSPECT_MODULE_FLAG_DELETED);
    modules_free(&read);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    read = modules_read(pid);
    assert_sample(module_find(&read, path), PROCINSPECT_MODULE_FLAG_DELETED);
    modules_free(&read);
    target_end(pid);
    folder_remove(folder);
}

static void a_library_that_has_another_name_left(void **state) {
    (void)state;
    char folder[FOLDER_SIZE], path[PATH_SIZE], other[PATH_SIZE];
    folder_make(folder);
    snprintf(path, sizeof path, "%s/moved", folder);
    snprintf(other, sizeof other, "%s/kept", folder);
    pid_t pid = start_with_library(path);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(other, path), 0);
    /* The kernel still says "deleted" of it; the path leads to the file all the same. */
    module_answer read = modules_read(pid);
    assert_sample(module_find(&read, path), 0);
    modules_free(&read);
    target_end(pid);
    folder_remove(folder);
}

/* Runs the library's target in a mount namespace of its own, with `options` for what is mounted on
 * the folder; -1 where that can't be had. */
static pid_t start_in_namespace(const char *folder, const char *type, const char *options,
                                const char *path) {
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ready[0]);
        bool is_mounted = unshare(CLONE_NEWNS) == 0 &&
                          mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                          mount("none", folder, type, 0, options) == 0;
        if (!is_mounted)
            _exit(77);
        if (access(path, F_OK) != 0)
            copy_file(SAMPLE, path);
        dup2(ready[1], STDOUT_FILENO);
        execl(TARGET("pie"), TARGET("pie"), "load", path, (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    char line[64] = "";
    ssize_t length = read(ready[0], line, sizeof line - 1);
    close(ready[0]);
    if (length > 0 && strcmp(line, "ready\n") == 0)
        return pid;
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
    return -1;
}

static void another_mount_namespace(void **state) {
    (void)state;
    char folder[FOLDER_SIZE], path[PATH_SIZE];
    folder_make(folder);
    snprintf(path, sizeof path, "%s/library", folder);
    pid_t pid = start_in_namespace(folder, "tmpfs", NULL, path);
    if (pid < 0) {
        folder_remove(folder);
        skip();
    }
    assert_int_not_equal(access(path, F_OK), 0);
    module_answer read = modules_read(pid);
    const procinspect_module_info *module = module_find(&read, path);
    assert_sample(module, 0);
    assert_int_equal(module->is_debug, 1);
    modules_free(&read);
    /* Here the path leads to another file. */
    copy_file(TARGET("pie"), path);
    read = modules_read(pid);
    assert_sample(module_find(&read, path), 0);
    modules_free(&read);
    target_end(pid);
    folder_remove(folder);
}

/* Where maps names another device than stat does. */
static void an_overlay(void **state) {
    (void)state;
    static const char *const parts[] = {"lower", "upper", "work", "merged"};
    char folder[FOLDER_SIZE], part[PATH_SIZE], path[PATH_SIZE], options[4 * PATH_SIZE];
    folder_make(folder);
    for (size_t i = 0; i < 4; i++) {
        snprintf(part, sizeof part, "%s/%s", folder, parts[i]);
        assert_int_equal(mkdir(part, 0755), 0);
    }
    snprintf(path, sizeof path, "%s/lower/library", folder);
    copy_file(SAMPLE, path);
    snprintf(path, sizeof path, "%s/merged/library", folder);
    snprintf(options, sizeof options, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", folder,
             folder, folder);
    pid_t pid = start_in_namespace(part, "overlay", options, path);
    if (pid < 0) {
        folder_remove(folder);
        skip();
    }
    module_answer read = modules_read(pid);
    const procinspect_module_info *module = module_find(&read, path);
    assert_sample(module, 0);
    assert_int_equal(module->is_debug, 1);
    modules_free(&read);
    target_end(pid);
    folder_remove(folder);
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t length) {
    char path[PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void a_recorded_tree(void **state) {
    (void)state;
    static const char stat_text[] =
        "42 (x) S 1 42 42 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 100 4096 1 0 0 0 0 0 0 0 0 0 0 0 0 0 17 "
        "0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
    static const char maps[] =
        "400000-401000 r--p 00000000 fe:00 7    /opt/pro gram\\0121 (deleted)\n"
        "401000-402000 r-xp 00001000 fe:00 7    /opt/pro gram\\0121 (deleted)\n"
        "500000-501000 r--p 00000000 fe:00 8    /opt/data\n"
        "7f0000000000-7f0000001000 r--p 00000000 fe:00 9    /lib/libz.so.1.2.13\n"
        "7f0000001000-7f0000002000 r-xp 00001000 fe:00 9    /lib/libz.so.1.2.13\n"
        "7f0000005000-7f0000006000 rw-p 00004000 fe:00 9    /lib/libz.so.1.2.13\n"
        "7f0000006000-7f0000007000 rw-p 00000000 00:00 0\n"
        "7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0    [vdso]\n"
        "7ffc00002000-7ffc00003000 r--p 00000000 fe:00 1";
    static const uint64_t auxv[] = {9, 0x401010, 0, 0};
    char folder[FOLDER_SIZE], process[PATH_SIZE];
    folder_make(folder);
    snprintf(process, sizeof process, "%s/42", folder);
    assert_int_equal(mkdir(process, 0755), 0);
    write_file(folder, "stat", "btime 1700000000\n", 17);
    write_file(process, "stat", stat_text, sizeof stat_text - 1);
    write_file(process, "maps", maps, sizeof maps - 1);
    write_file(process, "auxv", auxv, sizeof auxv);
    module_answer read = modules_read_from(folder, 42, 0, PROCINSPECT_MODULE_EVERYTHING);
    assert_int_equal(read.result, 0);
    assert_int_equal(read.list->count, 3);
    const procinspect_module_info *module = module_find(&read, "/opt/pro gram\n1");
    assert_int_equal(module->base_address, 0x400000);
    assert_int_equal(module->size_bytes, 0x2000);
    assert_int_equal(module->flags,
                     PROCINSPECT_MODULE_FLAG_EXECUTABLE | PROCINSPECT_MODULE_FLAG_DELETED);
    assert_int_equal(module->known, PROCINSPECT_MODULE_PATH);
    module = module_find(&read, "/lib/libz.so.1.2.13");
    assert_int_equal(module->size_bytes, 0x6000);
    assert_int_equal(module->flags, 0);
    assert_int_equal(module->known, PROCINSPECT_MODULE_PATH | PROCINSPECT_MODULE_FILE_VERSION);
    assert_string_equal(module->file_version, "1.2.13");
    assert_int_equal(module->unavailable_count, 1);
    assert_int_equal(module->unavailable[0]->code, PROCINSPECT_ERROR_NOT_FOUND);
    assert_int_equal(read.list->items[2]->flags, PROCINSPECT_MODULE_FLAG_VDSO);
    modules_free(&read);
    folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_every_kind),
        cmocka_unit_test(a_deleted_library),
        cmocka_unit_test(a_replaced_library),
        cmocka_unit_test(a_library_that_has_another_name_left),
        cmocka_unit_test(another_mount_namespace),
        cmocka_unit_test(an_overlay),
        cmocka_unit_test(a_recorded_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
