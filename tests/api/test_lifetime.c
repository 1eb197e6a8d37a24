/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Handles of processes that end, descriptors that are gone, and what is left behind by calls. */

/* Every call that reads answers so. */
static void all_calls_answer(const procinspect_process *process, int32_t code) {
    procinspect_error error;
    assert_int_equal(procinspect_process_check(process, &error), code);
    assert_int_equal(error.code, code);
    const void *untouched = &error;
    const procinspect_process_info *info = untouched;
    assert_int_equal(procinspect_process_info_read(process, 0, &info, &error), code);
    assert_ptr_equal(info, untouched);
    assert_int_equal(
        procinspect_process_info_read(process, PROCINSPECT_PROCESS_USER_ID, &info, &error), code);
    assert_int_equal(
        procinspect_process_info_read(process, PROCINSPECT_PROCESS_CHILDREN, &info, &error), code);
    const procinspect_thread_list *threads = untouched;
    assert_int_equal(procinspect_thread_list_read(process, NULL, &threads, &error), code);
    procinspect_thread_query query;
    procinspect_thread_query_init(&query, sizeof query);
    query.tid = procinspect_process_pid(process);
    assert_int_equal(procinspect_thread_list_read(process, &query, &threads, &error), code);
    assert_ptr_equal(threads, untouched);
    const procinspect_module_list *modules = untouched;
    assert_int_equal(procinspect_module_list_read(process, NULL, &modules, &error), code);
    assert_ptr_equal(modules, untouched);
    const procinspect_open_file_list *files = untouched;
    assert_int_equal(procinspect_open_file_list_read(process, &files, &error), code);
    assert_ptr_equal(files, untouched);
    const procinspect_environment *environment = untouched;
    assert_int_equal(procinspect_environment_read(process, NULL, &environment, &error), code);
    assert_ptr_equal(environment, untouched);
}

static void a_process_that_ended_is_gone(void **state) {
    (void)state;
    procinspect_context *context =
        context_of(NULL, PROCINSPECT_ALLOW_ENVIRONMENT, PROCINSPECT_USER_SCOPE_ALL);
    pid_t pid = child_start(NULL);
    procinspect_process *process = process_of(context, pid);
    procinspect_context_free(context); /* the handle keeps what it needs */
    assert_int_equal(procinspect_process_check(process, NULL), PROCINSPECT_OK);
    child_end(pid);
    all_calls_answer(process, PROCINSPECT_ERROR_GONE);
    assert_int_equal(procinspect_process_pid(process), pid);
    procinspect_process_free(process);
}

/* A child with the number that another one had; -1 where this user can't have that. */
static pid_t child_with_number(pid_t number) {
    struct clone_args arguments = {
        .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&number, .set_tid_size = 1};
    pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static void a_number_that_was_given_again_is_replaced(void **state) {
    (void)state;
    procinspect_context *context =
        context_of(NULL, PROCINSPECT_ALLOW_ENVIRONMENT, PROCINSPECT_USER_SCOPE_ALL);
    pid_t pid = child_start(NULL);
    procinspect_process *process = process_of(context, pid);
    child_end(pid);
    pid_t again = child_with_number(pid);
    if (again < 0) {
        assert_true(errno == EPERM || errno == ENOSYS);
        procinspect_process_free(process);
        procinspect_context_free(context);
        skip(); /* giving a number takes CAP_CHECKPOINT_RESTORE */
    }
    assert_int_equal(again, pid);
    all_calls_answer(process, PROCINSPECT_ERROR_REPLACED);
    /* The new process is one like any other. */
    procinspect_process *other = process_of(context, pid);
    assert_int_equal(procinspect_process_check(other, NULL), PROCINSPECT_OK);
    child_end(again);
    assert_int_equal(procinspect_process_check(process, NULL), PROCINSPECT_ERROR_GONE);
    assert_int_equal(procinspect_process_check(other, NULL), PROCINSPECT_ERROR_GONE);
    procinspect_process_free(other);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void *pause_for_ever(void *unused) {
    for (;;)
        pause();
    return unused;
}

static void start_thread(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, pause_for_ever, NULL);
}

static void a_thread_is_no_process(void **state) {
    (void)state;
    procinspect_context *context = context_of(NULL, 0, 0);
    pid_t pid = child_start(start_thread);
    procinspect_process *process = process_of(context, pid);
    const procinspect_thread_list *threads;
    assert_int_equal(procinspect_thread_list_read(process, NULL, &threads, NULL), PROCINSPECT_OK);
    assert_int_equal(threads->count, 2);
    int32_t tid = threads->items[1]->tid;
    assert_int_not_equal(tid, pid);
    procinspect_thread_list_free(threads);
    procinspect_process *none;
    procinspect_error error;
    assert_int_equal(procinspect_process_open(context, tid, &none, &error),
                     PROCINSPECT_ERROR_NOT_FOUND);
    char expected[64];
    snprintf(expected, sizeof expected, "thread of process %d", pid);
    assert_non_null(strstr(error.message, expected));
    procinspect_process_free(process);
    procinspect_context_free(context);
    child_end(pid);
}

static void read_everything(void) {
    procinspect_context *context =
        context_of(NULL, PROCINSPECT_ALLOW_ENVIRONMENT, PROCINSPECT_USER_SCOPE_ALL);
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = PROCINSPECT_PROCESS_QUERY_ALL_USERS;
    query.members = PROCINSPECT_PROCESS_BASIC | PROCINSPECT_PROCESS_USER_NAME |
                    PROCINSPECT_PROCESS_COMMAND_LINE | PROCINSPECT_PROCESS_OPEN_FILE_COUNT;
    const procinspect_process_list *list;
    assert_int_equal(procinspect_process_list_read(context, &query, &list, NULL), PROCINSPECT_OK);
    procinspect_process_list_free(list);
    const procinspect_process_info *info = info_of(context, getpid(), 0);
    procinspect_process_info_free(info);
    procinspect_process *process;
    assert_int_not_equal(procinspect_process_open(context, INT32_MAX, &process, NULL), 0);
    procinspect_context_free(context);
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.proc_root = "/";
    assert_int_not_equal(procinspect_context_new(&options, &context, NULL), 0);
}

static void no_descriptor_is_left_open(void **state) {
    (void)state;
    read_everything(); /* the user database may keep some of its own */
    int before = open_descriptors();
    read_everything();
    assert_int_equal(open_descriptors(), before);
}

/* The calls that open something, each of which may fail for want of a descriptor. */
static int32_t use_descriptors(const procinspect_context *context,
                               const procinspect_process *process) {
    procinspect_process *opened;
    int32_t code = procinspect_process_open(context, 0, &opened, NULL);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_process_free(opened);
    const procinspect_process_list *list;
    code = procinspect_process_list_read(context, NULL, &list, NULL);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_process_list_free(list);
    const procinspect_thread_list *threads;
    code = procinspect_thread_list_read(process, NULL, &threads, NULL);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_thread_list_free(threads);
    const procinspect_open_file_list *files;
    code = procinspect_open_file_list_read(process, &files, NULL);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_open_file_list_free(files);
    const procinspect_process_info *info;
    code = procinspect_process_info_read(process, PROCINSPECT_PROCESS_EVERYTHING, &info, NULL);
    if (code == PROCINSPECT_OK)
        procinspect_process_info_free(info);
    return code;
}

/* With 0, 1, 2 … descriptors left, until they are enough: never a wrong answer, never one left
 * open. */
static void without_descriptors_there_are_no_resources(void **state) {
    (void)state;
    procinspect_context *context = context_of(NULL, PROCINSPECT_ALLOW_ENVIRONMENT, 0);
    procinspect_process *process = process_of(context, getpid());
    assert_int_equal(use_descriptors(context, process), PROCINSPECT_OK);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(0), refused = 0;
    close(lowest);
    int32_t code = PROCINSPECT_ERROR_NO_RESOURCES;
    for (rlim_t left = 0; left < 100 && code != PROCINSPECT_OK; left++) {
        struct rlimit limit = {(rlim_t)lowest + left, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        code = use_descriptors(context, process);
        int again = dup(0);
        close(again);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (code != PROCINSPECT_OK)
            assert_int_equal(code, PROCINSPECT_ERROR_NO_RESOURCES);
        refused += code != PROCINSPECT_OK;
        assert_true(again == lowest || (again == -1 && left == 0));
    }
    assert_int_equal(code, PROCINSPECT_OK);
    assert_in_range(refused, 2, 20);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_ended_is_gone),
        cmocka_unit_test(a_number_that_was_given_again_is_replaced),
        cmocka_unit_test(a_thread_is_no_process),
        cmocka_unit_test(no_descriptor_is_left_open),
        cmocka_unit_test(without_descriptors_there_are_no_resources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
