/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/module_process.h"

/* Modules of programs as they are linked and loaded; what became of their files is for
 * test_module_files.c. */

static const char *const no_arguments[4] = {NULL};

/* Do these bytes stand at the address in that process? */
static bool memory_has(pid_t pid, uint64_t address, const char *bytes, size_t length) {
    char path[64], found[16];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = pread(memory, found, length, (off_t)address);
    close(memory);
    return got == (ssize_t)length && memcmp(found, bytes, length) == 0;
}

static void a_program_of_each_kind(void **state) {
    (void)state;
    static const char *const programs[] = {TARGET("pie"), TARGET("fixed"), TARGET("static"),
                                           TARGET("static_pie")};
    for (size_t i = 0; i < 4; i++) {
        pid_t pid = target_start(programs[i], no_arguments);
        module_answer read = modules_read(pid);
        const procinspect_module_info *module = module_find(&read, programs[i]);
        char build_id[129];
        read_build_id(programs[i], build_id);
        assert_build_id(module, build_id);
        assert_true(memory_has(pid, module->base_address,
                               "\x7f"
                               "ELF",
                               4));
        assert_int_equal(module->known, PROCINSPECT_MODULE_EVERYTHING);
        assert_int_equal(module->flags, PROCINSPECT_MODULE_FLAG_EXECUTABLE);
        assert_string_equal(module->path, programs[i]);
        assert_string_equal(module->file_name, strrchr(programs[i], '/') + 1);
        assert_int_equal(module->is_debug, 0);
        assert_null(module->soname);
        assert_null(module->file_version);
        /* The two static ones have no library and no loader. */
        assert_int_equal(read.list->count, i < 2 ? 4 : 2);
        modules_free(&read);
        target_end(pid);
    }
}

static void a_library_with_everything(void **state) {
    (void)state;
    const char *arguments[4] = {"load", SAMPLE};
    pid_t pid = target_start(TARGET("pie"), arguments);
    module_answer read = modules_read(pid);
    const procinspect_module_info *module = module_find(&read, SAMPLE);
    assert_int_equal(module->known, PROCINSPECT_MODULE_EVERYTHING);
    assert_int_equal(module->unavailable_count, 0);
    assert_int_equal(module->flags, 0);
    assert_build_id(module, SAMPLE_BUILD_ID);
    assert_string_equal(module->soname, "libmodule_sample.so.3");
    assert_string_equal(module->file_version, "3.2.1");
    assert_int_equal(module->file_version_parts[0], 3);
    assert_int_equal(module->file_version_parts[1], 2);
    assert_int_equal(module->file_version_parts[2], 1);
    assert_int_equal(module->file_version_parts[3], 0);
    assert_string_equal(module->package_name, "sample");
    assert_string_equal(module->package_version, "1.2-3");
    assert_int_equal(module->is_debug, 1);
    modules_free(&read);
    target_end(pid);
}

static void only_what_is_asked_for(void **state) {
    (void)state;
    const char *arguments[4] = {"load", SAMPLE};
    pid_t pid = target_start(TARGET("pie"), arguments);
    module_answer all = modules_read(pid);
    for (size_t i = 0; i < all.list->count; i++) {
        uint64_t base = all.list->items[i]->base_address;
        module_answer one = modules_read_from(NULL, pid, base, PROCINSPECT_MODULE_SONAME);
        assert_int_equal(one.result, 0);
        assert_int_equal(one.list->count, 1);
        const procinspect_module_info *module = one.list->items[0];
        assert_int_equal(module->base_address, base);
        assert_int_equal(module->size_bytes, all.list->items[i]->size_bytes);
        assert_int_equal(module->flags, all.list->items[i]->flags);
        assert_int_equal(module->known, PROCINSPECT_MODULE_SONAME);
        assert_null(module->path);
        assert_null(module->build_id);
        modules_free(&one);
    }
    module_answer none = modules_read_from(NULL, pid, 0x1000, PROCINSPECT_MODULE_EVERYTHING);
    assert_int_equal(none.result, PROCINSPECT_ERROR_NOT_FOUND);
    assert_non_null(strstr(none.error.message, "1000"));
    modules_free(&all);
    target_end(pid);
}

static void the_vdso(void **state) {
    (void)state;
    module_answer read = modules_read(getpid());
    const procinspect_module_info *module = module_find(&read, "linux-gate.so");
    assert_int_equal(module->base_address, getauxval(AT_SYSINFO_EHDR));
    assert_int_equal(module->flags, PROCINSPECT_MODULE_FLAG_VDSO);
    assert_int_equal(module->known, PROCINSPECT_MODULE_EVERYTHING & ~PROCINSPECT_MODULE_IS_DEBUG);
    assert_int_equal(module->unavailable_count, 1);
    assert_int_equal(module->unavailable[0]->members, PROCINSPECT_MODULE_IS_DEBUG);
    assert_true(module->build_id_length > 0);
    assert_true(module->soname != NULL);
    modules_free(&read);
}

static void files_that_are_mapped_as_data(void **state) {
    (void)state;
    const char *text[4] = {"map", "/etc/passwd", "map", TARGET("pie")};
    pid_t pid = target_start(TARGET("pie"), text);
    module_answer read = modules_read(pid);
    assert_false(module_is_there(&read, "/etc/passwd"));
    /* Its own file a second time, somewhere else: still the one with the code. */
    const procinspect_module_info *module = module_find(&read, TARGET("pie"));
    assert_int_equal(module->flags, PROCINSPECT_MODULE_FLAG_EXECUTABLE);
    assert_true(module->size_bytes < 1024 * 1024);
    modules_free(&read);
    target_end(pid);
    /* No code of it is mapped anywhere: an ELF object all the same. */
    const char *library[4] = {"map", SAMPLE};
    pid = target_start(TARGET("pie"), library);
    read = modules_read(pid);
    assert_build_id(module_find(&read, SAMPLE), SAMPLE_BUILD_ID);
    modules_free(&read);
    target_end(pid);
}

/* A container shows nobody's kernel threads, and may have a program under their number. */
static bool sees_kernel_threads(void) {
    char name[16];
    int comm = open("/proc/2/comm", O_RDONLY | O_CLOEXEC);
    ssize_t length = comm < 0 ? 0 : read(comm, name, sizeof name);
    if (comm >= 0)
        close(comm);
    return length == 9 && memcmp(name, "kthreadd\n", 9) == 0;
}

static void processes_without_memory(void **state) {
    (void)state;
    pid_t zombie = fork();
    if (zombie == 0)
        _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
    module_answer read = modules_read(zombie);
    assert_int_equal(read.list->count, 0);
    modules_free(&read);
    assert_int_equal(waitpid(zombie, NULL, 0), zombie);
    if (getuid() != 0 || !sees_kernel_threads())
        return;
    read = modules_read(2);
    assert_int_equal(read.list->count, 0);
    modules_free(&read);
}

/* Runs in a child that may not look. */
static int read_as_nobody(pid_t pid) {
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return 2;
    pi_system *system;
    pi_process *process;
    procinspect_error error;
    if (pi_system_open(NULL, &system, NULL) != 0 ||
        pi_process_open(system, pid, &process, NULL) != 0)
        return 3;
    pi_arena *arena = pi_arena_new(sizeof(procinspect_module_list), 1024 * 1024);
    int32_t result = pi_modules_read(process, 0, PROCINSPECT_MODULE_EVERYTHING, arena,
                                     pi_arena_root(arena), &error);
    bool is_explained = result == error.code && strstr(error.message, "CAP_SYS_PTRACE") != NULL;
    return result == PROCINSPECT_ERROR_PERMISSION && is_explained ? 0 : 4;
}

static void another_users_process(void **state) {
    (void)state;
    if (getuid() != 0)
        skip();
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0)
        _exit(read_as_nobody(parent));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Two files in turn, so that no mapping joins its neighbour, until the kernel gives no more. */
static size_t map_many(void) {
    int files[] = {open("/etc/passwd", O_RDONLY), open("/etc/group", O_RDONLY)};
    size_t count = 0;
    while (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, files[count % 2], 0) != MAP_FAILED)
        count++;
    return count;
}

static void as_many_mappings_as_there_can_be(void **state) {
    (void)state;
    int ready[2];
    size_t count = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        count = map_many();
        if (write(ready[1], &count, sizeof count) != sizeof count)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &count, sizeof count), sizeof count);
    close(ready[0]);
    close(ready[1]);
    assert_true(count > 50000);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    module_answer read = modules_read(pid);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    print_message("# %zu mappings in %.3f s\n", count, seconds);
    assert_true(seconds < 3); /* with a sanitizer on a slow machine, and far from quadratic */
    assert_true(read.list->count > 0 && read.list->count < 100);
    assert_false(module_is_there(&read, "/etc/passwd"));
    modules_free(&read);
    target_end(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_of_each_kind),
        cmocka_unit_test(a_library_with_everything),
        cmocka_unit_test(only_what_is_asked_for),
        cmocka_unit_test(the_vdso),
        cmocka_unit_test(files_that_are_mapped_as_data),
        cmocka_unit_test(processes_without_memory),
        cmocka_unit_test(another_users_process),
        cmocka_unit_test(as_many_mappings_as_there_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
