/* SPDX-License-Identifier: MIT */
#include "dump_target.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

pid_t target_pid;

void *sleep_for_ever(void *argument) {
    while (argument == NULL)
        pause();
    return NULL;
}

int start_target(void **state) {
    (void)state;
    int ready[2];
    char byte;
    if (pipe(ready) != 0 || (target_pid = fork()) < 0)
        return -1;
    if (target_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama asks for it */
        for (int i = 1; i < TARGET_THREADS; i++) {
            pthread_t thread;
            pthread_create(&thread, NULL, sleep_for_ever, NULL);
        }
        _exit(write(ready[1], "x", 1) != 1 || sleep_for_ever(NULL) != NULL);
    }
    close(ready[1]);
    ssize_t got = read(ready[0], &byte, 1);
    close(ready[0]);
    return got == 1 ? 0 : -1;
}

int end_target(void **state) {
    (void)state;
    if (target_pid <= 0) /* no fork: to kill(2) these are whole groups, or everybody */
        return -1;
    kill(target_pid, SIGKILL);
    return waitpid(target_pid, NULL, 0) == target_pid ? 0 : -1;
}

void wait_until_target_is_idle(void) {
    int waiting = 0;
    for (int round = 0; waiting != TARGET_THREADS; round++) {
        assert_true(round < 10000);
        usleep(1000);
        char path[64], call[16];
        snprintf(path, sizeof path, "/proc/%d/task", (int)target_pid);
        DIR *tasks = opendir(path);
        assert_non_null(tasks);
        waiting = 0;
        for (struct dirent *each; (each = readdir(tasks)) != NULL;) {
            if (each->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "/proc/%d/task/%.16s/syscall", (int)target_pid,
                     each->d_name);
            FILE *file = fopen(path, "r");
            bool has_call = file != NULL && fgets(call, sizeof call, file) != NULL;
            waiting += has_call && atol(call) == SYS_pause && strchr(call, ' ') != NULL;
            if (file != NULL)
                fclose(file);
        }
        closedir(tasks);
    }
}

procinspect_context *context_with(uint32_t allow, uint32_t max_dumps, uint64_t max_bytes) {
    procinspect_context_options options;
    procinspect_context *context;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = allow;
    options.max_concurrent_dumps = max_dumps;
    options.max_dump_bytes = max_bytes;
    assert_int_equal(procinspect_context_new(&options, &context, NULL), 0);
    return context;
}

procinspect_process *open_process(const procinspect_context *context, pid_t pid) {
    procinspect_process *process;
    assert_int_equal(procinspect_process_open(context, pid, &process, NULL), 0);
    return process;
}

procinspect_dump *capture(const procinspect_process *process) {
    procinspect_dump *dump = NULL;
    procinspect_error error = {0};
    int32_t code = procinspect_dump_capture(process, NULL, &dump, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(code, 0);
    return dump;
}

void assert_refused(const procinspect_process *process, const procinspect_dump_options *options,
                    int32_t code, procinspect_error *error) {
    procinspect_dump *dump = (procinspect_dump *)error;
    assert_int_equal(procinspect_dump_capture(process, options, &dump, error), code);
    assert_int_equal(error->code, code);
    assert_ptr_equal(dump, error);
}
