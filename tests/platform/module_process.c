/* SPDX-License-Identifier: MIT */
#include "platform/module_process.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

pid_t target_start(const char *program, const char *const arguments[4]) {
    int output[2];
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with a test that fails */
        char *argv[6] = {strdup(program)};
        for (int i = 0; i < 4 && arguments[i] != NULL; i++)
            argv[i + 1] = strdup(arguments[i]);
        dup2(output[1], STDOUT_FILENO);
        execv(program, argv);
        _exit(127);
    }
    close(output[1]);
    char line[256] = "";
    ssize_t length = read(output[0], line, sizeof line - 1);
    close(output[0]);
    if (length <= 0 || strcmp(line, "ready\n") != 0)
        fail_msg("%s: %s", program, line);
    return pid;
}

void target_end(pid_t pid) {
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

module_answer modules_read_from(const char *proc_root, pid_t pid, uint64_t base, uint64_t members) {
    module_answer read = {0};
    pi_system *system;
    pi_process *process;
    read.result = pi_system_open(proc_root, &system, &read.error);
    assert_int_equal(read.result, 0);
    read.result = pi_process_open(system, pid, &process, &read.error);
    if (read.result != 0)
        fail_msg("%s", read.error.message);
    pi_arena *arena = pi_arena_new(sizeof(procinspect_module_list), (size_t)256 * 1024 * 1024);
    assert_non_null(arena);
    procinspect_module_list *list = pi_arena_root(arena);
    read.result = pi_modules_read(process, base, members, arena, list, &read.error);
    read.list = list;
    if (read.result != 0) {
        assert_int_equal(read.error.code, read.result);
        pi_arena_free_root(list);
        read.list = NULL;
    }
    pi_process_close(process);
    pi_system_close(system);
    return read;
}

module_answer modules_read(pid_t pid) {
    module_answer read = modules_read_from(NULL, pid, 0, PROCINSPECT_MODULE_EVERYTHING);
    if (read.result != 0)
        fail_msg("%s", read.error.message);
    assert_int_equal(read.list->pid, pid);
    for (size_t i = 0; i < read.list->count; i++) {
        const procinspect_module_info *module = read.list->items[i];
        assert_int_equal(module->pid, pid);
        assert_true(module->size_bytes != 0);
        if (i > 0)
            assert_true(read.list->items[i - 1]->base_address < module->base_address);
        for (size_t reason = 0; reason < module->unavailable_count; reason++)
            assert_int_equal(module->unavailable[reason]->members & module->known, 0);
    }
    return read;
}

void modules_free(const module_answer *answer) {
    pi_arena_free_root(answer->list);
}

static bool has_path(const procinspect_module_info *module, const char *path) {
    return module->path_bytes_length == strlen(path) &&
           memcmp(module->path_bytes, path, strlen(path)) == 0;
}

bool module_is_there(const module_answer *answer, const char *path) {
    for (size_t i = 0; i < answer->list->count; i++)
        if (has_path(answer->list->items[i], path))
            return true;
    return false;
}

const procinspect_module_info *module_find(const module_answer *answer, const char *path) {
    const procinspect_module_info *found = NULL;
    for (size_t i = 0; i < answer->list->count; i++) {
        if (!has_path(answer->list->items[i], path))
            continue;
        assert_null(found);
        found = answer->list->items[i];
    }
    if (found == NULL)
        fail_msg("no module %s", path);
    return found;
}

void assert_build_id(const procinspect_module_info *module, const char *build_id) {
    char hex[129] = "";
    assert_true(module->build_id_length <= 64);
    for (size_t i = 0; i < module->build_id_length; i++)
        sprintf(hex + 2 * i, "%02x", ((const unsigned char *)module->build_id)[i]);
    assert_string_equal(hex, build_id);
    assert_true((module->known & PROCINSPECT_MODULE_BUILD_ID) != 0);
}

void read_build_id(const char *path, char hex[129]) {
    char command[4096];
    snprintf(command, sizeof command, "LC_ALL=C readelf -n '%s'", path);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    char line[1024];
    hex[0] = '\0';
    while (fgets(line, sizeof line, output) != NULL)
        sscanf(line, " Build ID: %128[0-9a-f]", hex);
    assert_int_equal(pclose(output), 0);
    assert_true(hex[0] != '\0');
}

void copy_file(const char *from, const char *to) {
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    struct stat status;
    assert_true(source >= 0 && target >= 0);
    assert_int_equal(fstat(source, &status), 0);
    for (off_t left = status.st_size; left > 0;) {
        ssize_t sent = sendfile(target, source, NULL, (size_t)left);
        assert_true(sent > 0);
        left -= sent;
    }
    close(source);
    close(target);
}

void folder_make(char path[FOLDER_SIZE]) {
    strcpy(path, "/tmp/procinspect-modules-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static int remove_each(const char *path, const struct stat *status, int type, struct FTW *at) {
    (void)status, (void)type, (void)at;
    return remove(path);
}

void folder_remove(const char *path) {
    assert_int_equal(nftw(path, remove_each, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
}
