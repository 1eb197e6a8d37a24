/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/platform.h"

/* A listing and numbers of processes that change hands meanwhile. */

extern char **environ;

static const uint64_t members =
    PROCINSPECT_PROCESS_NAME | PROCINSPECT_PROCESS_START_TIME | PROCINSPECT_PROCESS_ENVIRONMENT;

/* A child called so, whose environment begins with that letter; pid 0: any, else that very one.
 * -1 where this user may not choose it. */
static pid_t start_child(pid_t pid, const char *name, char letter) {
    const struct clone_args arguments = {
        .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&pid, .set_tid_size = 1};
    assert_non_null(environ[0]);
    environ[0][0] = letter;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = pid == 0 ? fork() : (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, name);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    char byte;
    if (child > 0) /* it is called so once it has closed its end */
        assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    return child;
}

static void end_child(pid_t pid) {
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Makes environments that hold no more than the first letter of the block, as their count, and
 * gives the number of one process to another one at the first look at its environment. */
typedef struct switching_maker {
    pid_t pid;
    int looks;
    bool switches;
} switching_maker;

static int32_t make(void *user, pi_bytes block, pi_arena *arena, procinspect_process_info *info) {
    switching_maker *maker = user;
    unsigned char letter = block.length != 0 ? *(const unsigned char *)block.data : 0;
    procinspect_environment *environment = pi_arena_alloc(arena, sizeof *environment);
    assert_non_null(environment);
    environment->count = letter;
    info->environment = environment;
    if (info->pid != maker->pid)
        return 0;
    if (maker->looks++ == 0 && maker->switches) {
        assert_int_equal(environment->count, 'A');
        end_child(maker->pid);
        assert_int_equal(start_child(maker->pid, "second", 'B'), maker->pid);
    }
    return 0;
}

static procinspect_process_list *list_with(switching_maker *maker) {
    pi_system *system;
    assert_int_equal(pi_system_open(NULL, &system, NULL), PROCINSPECT_OK);
    pi_arena *arena = pi_arena_new(sizeof(procinspect_process_list), 256 << 20);
    procinspect_process_list *list = pi_arena_root(arena);
    pi_environment_maker environments = {make, maker};
    assert_int_equal(
        pi_processes_read(system, members, PI_ANY_USER, &environments, arena, list, NULL), 0);
    pi_system_close(system);
    return list;
}

static const procinspect_process_info *find(const procinspect_process_list *list, pid_t pid) {
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->pid == pid)
            return list->items[i];
    return NULL;
}

static void is_called(const procinspect_process_info *info, const char *name, char letter) {
    assert_non_null(info);
    assert_true(info->known == members);
    assert_string_equal(info->name, name);
    assert_int_equal(info->environment->count, letter);
}

/* Long enough that its start is another tick than that of what comes next. */
static void grow_old(void) {
    usleep(50000);
}

static void all_of_an_info_is_of_one_process(void **state) {
    (void)state;
    pid_t pid = start_child(0, "first", 'A');
    assert_true(pid > 0);
    end_child(pid);
    if (start_child(pid, "first", 'A') != pid) {
        /* Choosing a number takes Linux 5.5 and CAP_CHECKPOINT_RESTORE. */
        assert_true(errno == EPERM || errno == ENOSYS);
        skip();
    }
    grow_old();
    switching_maker maker = {.pid = pid, .switches = true};
    procinspect_process_list *list = list_with(&maker);
    is_called(find(list, pid), "second", 'B');
    assert_int_equal(maker.looks, 2);
    pi_arena_free_root(list);
    end_child(pid);
}

static void young_and_old_processes_are_listed_alike(void **state) {
    (void)state;
    pid_t pid = start_child(0, "child", 'C');
    assert_true(pid > 0);
    switching_maker maker = {.pid = pid};
    procinspect_process_list *young = list_with(&maker);
    grow_old();
    maker.looks = 0;
    procinspect_process_list *old = list_with(&maker);
    assert_int_equal(maker.looks, 1);
    is_called(find(young, pid), "child", 'C');
    is_called(find(old, pid), "child", 'C');
    assert_true(find(young, pid)->start_time_since_boot_ns ==
                find(old, pid)->start_time_since_boot_ns);
    pi_arena_free_root(young);
    pi_arena_free_root(old);
    end_child(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_an_info_is_of_one_process),
        cmocka_unit_test(young_and_old_processes_are_listed_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
