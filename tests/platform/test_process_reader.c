/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/linux/process_reader.h"

/* A process that ends between two reads of its files. */

static const uint64_t owner_members = PROCINSPECT_PROCESS_USER_ID | PROCINSPECT_PROCESS_USER_NAME;

static pid_t start_child(void) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static void end_child(pid_t pid) {
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The kernel calls root the owner of what is left of a process. */
static void an_ended_process_has_no_owner(void **state) {
    (void)state;
    pi_system *system;
    assert_int_equal(pi_system_open(NULL, &system, NULL), PROCINSPECT_OK);
    pid_t pid = start_child();
    char path[32];
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    pi_process_files files = {.directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)};
    assert_true(files.directory >= 0);
    pi_arena *arena = pi_arena_new(sizeof(procinspect_process_info), 1 << 20);
    procinspect_process_info *info = pi_arena_root(arena);
    info->pid = pid;
    pi_process_reader reader = {.system = system, .arena = arena, .members = owner_members};

    assert_int_equal(pi_process_reader_read(&reader, &files, info), 0);
    assert_true(info->known == owner_members);
    assert_int_equal(info->user_id, geteuid());
    end_child(pid);
    assert_int_equal(pi_process_reader_read(&reader, &files, info), PI_PROCESS_ENDED);

    pi_process_reader_end(&reader);
    pi_arena_free_root(info);
    close(files.directory);
    pi_system_close(system);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ended_process_has_no_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
