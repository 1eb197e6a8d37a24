/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/module_process.h"

/* Out of descriptors an answer is complete, or it is none; and there is an end to the work of one.
 */

static const char *const no_arguments[4] = {NULL};

/* Limits the descriptors to those below `limit`; back to the old one with the returned value. */
static struct rlimit limit_descriptors(rlim_t limit) {
    struct rlimit old, wanted;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    wanted = old;
    wanted.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &wanted), 0);
    return old;
}

static void assert_same_modules(const procinspect_module_list *list,
                                const procinspect_module_list *whole) {
    assert_int_equal(list->count, whole->count);
    for (size_t i = 0; i < list->count; i++) {
        const procinspect_module_info *module = list->items[i], *expected = whole->items[i];
        assert_int_equal(module->base_address, expected->base_address);
        assert_int_equal(module->flags, expected->flags);
        assert_int_equal(module->known, expected->known);
        assert_string_equal(module->path, expected->path);
        assert_int_equal(module->unavailable_count, expected->unavailable_count);
        for (size_t k = 0; k < module->unavailable_count; k++)
            assert_string_equal(module->unavailable[k]->reason, expected->unavailable[k]->reason);
    }
}

static int32_t read_limited(const pi_process *process, rlim_t limit,
                            const procinspect_module_list *whole) {
    procinspect_error error;
    pi_arena *arena = pi_arena_new(sizeof(procinspect_module_list), 1 << 28);
    assert_non_null(arena);
    procinspect_module_list *list = pi_arena_root(arena);
    struct rlimit old = limit_descriptors(limit);
    int32_t code = pi_modules_read(process, 0, PROCINSPECT_MODULE_EVERYTHING, arena, list, &error);
    setrlimit(RLIMIT_NOFILE, &old);
    if (code == 0)
        assert_same_modules(list, whole);
    else
        assert_non_null(strstr(error.message, "Close descriptors"));
    pi_arena_free_root(list);
    return code;
}

/* One descriptor less each time, until there is none. */
static void modules(void **state) {
    (void)state;
    pid_t pid = target_start(TARGET("pie"), no_arguments);
    module_answer whole = modules_read(pid);
    procinspect_error error;
    pi_system *system;
    pi_process *process;
    assert_int_equal(pi_system_open(NULL, &system, &error), 0);
    assert_int_equal(pi_process_open(system, pid, &process, &error), 0);
    int next = dup(STDERR_FILENO), complete = 0, refused = 0;
    assert_true(next >= 0);
    close(next);
    for (rlim_t limit = (rlim_t)next + 12; limit >= (rlim_t)next; limit--) {
        int32_t code = read_limited(process, limit, whole.list);
        complete += code == 0;
        refused += code == PROCINSPECT_ERROR_NO_RESOURCES;
        assert_true(code == 0 || code == PROCINSPECT_ERROR_NO_RESOURCES);
    }
    assert_true(complete > 0 && refused > 0);
    pi_process_close(process);
    pi_system_close(system);
    modules_free(&whole);
    target_end(pid);
}

/* The mark behind an executable's path is told from its name with two descriptors. */
static void an_executable_called_deleted(void **state) {
    (void)state;
    char folder[FOLDER_SIZE], path[2 * FOLDER_SIZE];
    folder_make(folder);
    snprintf(path, sizeof path, "%s/program (deleted)", folder);
    copy_file(TARGET("pie"), path);
    pid_t pid = target_start(path, no_arguments);
    procinspect_error error;
    pi_system *system;
    pi_process *process;
    assert_int_equal(pi_system_open(NULL, &system, &error), 0);
    assert_int_equal(pi_process_open(system, pid, &process, &error), 0);
    int next = dup(STDERR_FILENO), complete = 0, refused = 0;
    close(next);
    for (rlim_t limit = (rlim_t)next + 4; limit >= (rlim_t)next; limit--) {
        pi_arena *arena = pi_arena_new(sizeof(procinspect_process_info), 1 << 28);
        procinspect_process_info *info = pi_arena_root(arena);
        struct rlimit old = limit_descriptors(limit);
        int32_t code =
            pi_process_read(process, PROCINSPECT_PROCESS_EXECUTABLE, arena, info, &error);
        setrlimit(RLIMIT_NOFILE, &old);
        if (code == 0)
            assert_string_equal(info->executable_path, path);
        else
            assert_int_equal(code, PROCINSPECT_ERROR_NO_RESOURCES);
        complete += code == 0;
        refused += code != 0;
        pi_arena_free_root(info);
    }
    assert_true(complete > 0 && refused > 0);
    pi_process_close(process);
    pi_system_close(system);
    target_end(pid);
    folder_remove(folder);
}

/* An ELF object with as many sections as are looked through, none of them one that is looked for.
 */
static void write_many_sections(const char *path) {
    enum { SECTIONS = 1024 };
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
                         .e_type = ET_DYN,
                         .e_machine = EM_X86_64,
                         .e_shoff = 4096,
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = SECTIONS,
                         .e_shstrndx = 1};
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(&header, sizeof header, 1, file), 1);
    assert_int_equal(fseek(file, 4096, SEEK_SET), 0);
    for (unsigned i = 0; i < SECTIONS; i++) {
        Elf64_Shdr section = {.sh_type = SHT_PROGBITS, .sh_offset = 4096, .sh_size = 4096};
        assert_int_equal(fwrite(&section, sizeof section, 1, file), 1);
    }
    assert_int_equal(fclose(file), 0);
}

enum { HOSTILE_FILES = 400 };

/* Maps all names of one file: each is a module. */
static _Noreturn void map_all(const char *folder, int ready) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < HOSTILE_FILES; i++) {
        char path[2 * FOLDER_SIZE];
        snprintf(path, sizeof path, "%s/%d", folder, i);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED)
            _exit(1);
        close(file);
    }
    if (write(ready, "", 1) == 1)
        for (;;)
            pause();
    _exit(1);
}

static pid_t start_hostile(const char *folder) {
    char first[2 * FOLDER_SIZE], path[2 * FOLDER_SIZE], byte;
    snprintf(first, sizeof first, "%s/0", folder);
    write_many_sections(first);
    for (int i = 1; i < HOSTILE_FILES; i++) {
        snprintf(path, sizeof path, "%s/%d", folder, i);
        assert_int_equal(link(first, path), 0);
    }
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        map_all(folder, ready[1]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

/* ELF objects that take as much work as they can: a list has an end, and says which were left. */
static void work(void **state) {
    (void)state;
    char folder[FOLDER_SIZE];
    folder_make(folder);
    pid_t pid = start_hostile(folder);
    module_answer read = modules_read(pid);
    int complete = 0, told = 0;
    const procinspect_module_info *left_out = NULL;
    for (size_t i = 0; i < read.list->count; i++) {
        const procinspect_module_info *module = read.list->items[i];
        if (strncmp(module->path, folder, strlen(folder)) != 0)
            continue;
        told++;
        complete += (module->known & PROCINSPECT_MODULE_IS_DEBUG) != 0;
        for (size_t k = 0; k < module->unavailable_count; k++)
            if (module->unavailable[k]->code == PROCINSPECT_ERROR_TOO_LARGE)
                left_out = module;
    }
    assert_int_equal(told, HOSTILE_FILES);
    assert_in_range(complete, 100, HOSTILE_FILES - 1);
    assert_non_null(left_out);
    assert_non_null(strstr(left_out->unavailable[0]->reason, "base address"));
    module_answer alone =
        modules_read_from(NULL, pid, left_out->base_address, PROCINSPECT_MODULE_EVERYTHING);
    assert_int_equal(alone.result, 0);
    assert_int_equal(alone.list->items[0]->known, PROCINSPECT_MODULE_EVERYTHING);
    modules_free(&alone);
    modules_free(&read);
    target_end(pid);
    folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules),
        cmocka_unit_test(an_executable_called_deleted),
        cmocka_unit_test(work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
